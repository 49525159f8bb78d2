//! `httputil schema`: what editors and readers know the keys from.

use httputil::Config;

use crate::args::SchemaArgs;
use crate::output::Outcome;

pub(crate) fn run(args: &SchemaArgs) -> Outcome {
    Outcome::said(if args.reference {
        Config::reference()
    } else {
        Config::schema()
    })
}
