//! What a command has to say, and how it is said: once, with colours only where somebody looks.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use anstream::AutoStream;
use httputil::Error;

/// What a command found. The text may be styled; [`print`](Outcome::print) takes the styles out where none belong.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Outcome {
    /// For the standard output.
    out: String,
    /// For the standard error.
    complaint: String,
    code: u8,
}

impl Outcome {
    /// All is well.
    pub(crate) fn said(out: impl Into<String>) -> Outcome {
        Outcome {
            out: out.into(),
            ..Outcome::default()
        }
    }

    /// What was asked for was found, and it has mistakes.
    pub(crate) fn mistakes(out: impl Into<String>) -> Outcome {
        Outcome {
            out: out.into(),
            code: 1,
            ..Outcome::default()
        }
    }

    /// The configuration has mistakes, so that the command could not do its work.
    pub(crate) fn unsound(error: &Error) -> Outcome {
        Outcome {
            complaint: format!("{error:#}\n"),
            code: 1,
            ..Outcome::default()
        }
    }

    /// It could not be done.
    pub(crate) fn failed(why: impl Display) -> Outcome {
        Outcome {
            complaint: format!("httputil: {why}\n"),
            code: 2,
            ..Outcome::default()
        }
    }

    /// The same, with something to be said all the same.
    pub(crate) fn and_said(self, out: impl Into<String>) -> Outcome {
        Outcome {
            out: out.into(),
            ..self
        }
    }

    /// Says it. Whoever stops listening, as `head` does, is no failure.
    pub(crate) fn print(self) -> ExitCode {
        // Whoever runs a program sets nothing in code.
        let [out, complaint] = [&self.out, &self.complaint].map(|text| text.replace("set in code: ", "--set "));
        let out = write(AutoStream::auto(io::stdout().lock()), &out);
        // Nobody can be told that the standard error is gone.
        let _ = write(AutoStream::auto(io::stderr().lock()), &complaint);
        match out {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                let _ = writeln!(io::stderr(), "httputil: the output can't be written: {error}");
                ExitCode::from(2)
            }
            _ => ExitCode::from(self.code),
        }
    }
}

fn write(mut stream: impl Write, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())?;
    stream.flush()
}
