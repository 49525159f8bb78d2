//! The ten services, each with what is to be seen of it.

mod ai;
mod audit;
mod events;
mod mtls;
mod nim;
mod object_lambda;
mod rdma_fallback;
mod replication;
mod s3_migration;
mod telemetry;

use std::pin::Pin;

use indicatif::ProgressBar;
use services::command::Failure;

use crate::proof::Proof;
use crate::tour::Tour;

type Proving<'a> = Pin<Box<dyn Future<Output = Result<Proof, Failure>> + 'a>>;

/// A service that can be shown.
#[derive(Clone)]
pub(crate) struct Service {
    /// Its profile's name.
    pub(crate) name: &'static str,
    pub(crate) prove: for<'a> fn(&'a Tour, &'a ProgressBar) -> Proving<'a>,
}

macro_rules! services {
    ($($name:ident),*) => {
        [$(Service {
            name: stringify!($name),
            prove: |tour, progress| Box::pin($name::prove(tour, progress)),
        }),*]
    };
}

/// In the order of the configuration.
pub(crate) const SERVICES: [Service; 10] = services![
    ai,
    audit,
    events,
    object_lambda,
    s3_migration,
    nim,
    replication,
    mtls,
    telemetry,
    rdma_fallback
];
