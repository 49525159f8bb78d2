//! What the user wrote: layers, spans, origins → settings.
//!
//! ```text
//!  embedded text ─┐ toml_text                       ┌ inherit: parents → order
//!  files ─────────┤ (tree: every value   ┌───────┐  │ merge: [global], profile, parents, [default]
//!  variables ─────┤  knows its place) ──►│ walk  │─►│ extract: serde → settings::Profile
//!  set in code ───┘                      └───▲───┘  └ contradictions: within a profile, within a pool
//!                                model ─► schema ─► json_schema, for editors
//! ```
//!
//! [`ConfigBuilder`] says where a configuration comes from and loads it; [`Config`] answers: profiles, a service's own
//! settings, where a value was written, why a profile is as it is. Settings of the right type go out, or one error that
//! holds everything that is wrong in all layers.
//!
//! The rules that hold the room together:
//!
//! - **The model is the only description of the keys.** `model` (serde, schemars) becomes `schema`, and that, as data,
//!   drives checks, suggestions and listings.
//! - **Every value keeps the place where it was written**, through merging and into serde (`read`), so that whatever
//!   goes wrong can be shown at the right line, and `origin` needs no book-keeping of its own.
//! - **A value is shown only where its key is known and not secret**: never of an unknown key, never from `settings`,
//!   never with a line of a file (`excerpt`).
//! - **Nothing is read behind the caller's back**: environment and folder come in as values, except in [`Config::load`].
//!
//! figment is not used; `merge` says why.

mod builder;
mod contradictions;
mod effective;
mod embedded;
mod environment;
mod excerpt;
mod explain;
mod extract;
mod file;
mod homeless;
mod inherit;
mod json_schema;
mod kind;
mod layer;
mod loaded;
mod loading;
mod locate;
mod merge;
mod misfit;
mod model;
mod names;
mod overrides;
mod placed;
mod planned;
mod position;
mod problems;
mod read;
mod reference;
mod schema;
mod secrets;
mod settings_hidden;
mod settings_read;
mod settings_written;
mod suggest;
mod toml_text;
mod tree;
mod values;
mod variables;
mod walk;
mod warnings;
mod watched;

pub use builder::ConfigBuilder;
pub use embedded::Embedded;
pub use explain::{ExplainedKey, Explanation, Place};
pub(crate) use layer::name_beside;
pub use loaded::Config;
#[cfg(all(test, feature = "reqwest"))]
pub(crate) use schema::schema;
pub(crate) use settings_read::{Ignored, Keys};
pub(crate) use settings_written::WrittenSetting;
pub use variables::Variable;
