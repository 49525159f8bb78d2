//! Configuration as its users meet it: files, variables and values in code go in, settings or messages come out.

mod corpus;
mod defaults;
mod embed;
mod explain;
mod files;
mod fuzz;
mod hostile;
mod inheritance;
mod layers;
mod places;
mod pool;
mod registry;
mod scenario;
mod schema;
mod secrets;
mod service_settings;
mod shipped;
mod underlined;
mod warnings;
