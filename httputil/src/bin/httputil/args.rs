//! What can be written on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::output::Outcome;
use crate::report::Format;
use crate::source::SourceArgs;
use crate::{check, environment, explain, init, probe, schema};

/// HTTP client profiles: what httputil.toml and the environment say, and whether they are right.
///
/// Exit code: 0 for yes, 1 for mistakes in the configuration, 2 for anything that could not be done.
#[derive(Debug, Parser)]
#[command(name = "httputil", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    source: SourceArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(CheckArgs),
    Explain(ExplainArgs),
    Schema(SchemaArgs),
    Env(EnvArgs),
    Init(InitArgs),
    Probe(ProbeArgs),
}

/// Find every mistake in files and variables.
///
/// Without FILES the file that a program started here would read. A main file is checked once more with each
/// httputil.<env>.toml beside it, unless --env says which; a file of an environment is checked with its main file.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// Files to check.
    pub(crate) files: Vec<PathBuf>,
    /// How to say it: for people, for programs, or as annotations of a GitHub workflow.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// Show each value in force, who set it, and what that hides.
#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// A profile, or `registry`.
    pub(crate) profile: String,
    /// Only this key, `pool.max_idle`, or this section, `pool`.
    pub(crate) key: Option<String>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print the JSON schema for editors.
#[derive(Args, Debug)]
pub(crate) struct SchemaArgs {
    /// The reference of all keys instead, as Markdown.
    #[arg(long)]
    pub(crate) reference: bool,
}

/// List all variables of a profile, with today's values; what may be a secret is not shown.
#[derive(Args, Debug)]
pub(crate) struct EnvArgs {
    /// A profile, or `registry`.
    pub(crate) profile: String,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Write a commented file to start from, and the schema for editors beside it.
#[derive(Args, Debug)]
pub(crate) struct InitArgs {
    /// The file, or the folder for it; nothing that is there is overwritten.
    #[arg(default_value = "httputil.toml")]
    pub(crate) path: PathBuf,
}

/// Make two requests, and show where their time goes, who answers, and whether the connection is used again.
///
/// Any answer is a good one, whatever its status. Under the profile's settings, guards and time-outs.
#[derive(Args, Debug)]
pub(crate) struct ProbeArgs {
    /// What to ask for; relative to the profile's `base_url` if it has one.
    pub(crate) url: String,
    /// The profile to ask with.
    #[arg(long, value_name = "PROFILE", default_value = "default")]
    pub(crate) profile: String,
    /// The method, such as HEAD.
    #[arg(long, default_value = "GET")]
    pub(crate) method: String,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Cli {
    pub(crate) fn run(self) -> Outcome {
        let source = &self.source;
        let outcome = match &self.command {
            Command::Check(args) => check::run(args, source),
            Command::Explain(args) => explain::run(args, source),
            Command::Schema(args) => Ok(schema::run(args)),
            Command::Env(args) => environment::run(args, source),
            Command::Init(args) => init::run(args),
            Command::Probe(args) => probe::run(args, source),
        };
        outcome.unwrap_or_else(|failed| failed)
    }
}
