//! One mistake in a configuration: where it stands, what it is, what would be right.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::words::{ShownPath, one_line};

/// The place that a configuration value came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// The default that is built in.
    BuiltIn,
    /// A file; line and column count from 1, columns in characters.
    #[non_exhaustive]
    File {
        /// The file, as it was found.
        path: Arc<PathBuf>,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// A file as a whole (missing, unreadable, not UTF-8).
    WholeFile(Arc<PathBuf>),
    /// An environment variable, by name.
    Variable(Arc<str>),
    /// A value set in code, by its key.
    Code(Arc<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::BuiltIn => f.write_str("built-in default"),
            Origin::File { path, line, column } => write!(f, "{}:{line}:{column}", ShownPath(path)),
            Origin::WholeFile(path) => write!(f, "{}", ShownPath(path)),
            Origin::Variable(name) => f.write_str(&one_line(name.to_string())),
            Origin::Code(key) => write!(f, "set in code: {}", one_line(key.to_string())),
        }
    }
}

/// One mistake in a configuration.
///
/// `Display` is one line, ready to read: origin, what was found, what would be right. A value is part of the message
/// only if its key is known and not secret. `{:#}` adds the file's line below it, the key underlined and its value left
/// out:
///
/// ```
/// let config = httputil::Config::builder().embedded("built in", "[telemetry]\ntimout = \"5s\"");
/// let error = config.load().unwrap_err();
/// let expected = "built in:2:1: telemetry.timout: unknown key; did you mean timeout?\n\
///                 \x20 2 | timout = …\n\
///                 \x20   | ^^^^^^";
/// assert_eq!(format!("{:#}", error.problems()[0]), expected);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    origin: Option<Origin>,
    value: Option<String>,
    message: String,
    excerpt: Option<Box<Excerpt>>,
    /// That it is a key which this version does not know, and nothing worse.
    is_unknown_key: bool,
}

/// A line of a file with a key underlined; nothing of a value is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) text: String,
    /// The first character that is underlined, and how many are.
    pub(crate) start: usize,
    pub(crate) width: usize,
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Excerpt { line, text, .. } = self;
        let (margin, start) = (line.to_string().len(), self.start);
        write!(
            f,
            "{line} | {text}\n{:margin$} | {:start$}{:^<width$}",
            "",
            "",
            "",
            width = self.width
        )
    }
}

impl Problem {
    /// A problem at a known place. `message` is lower case and ends without a period.
    #[must_use]
    pub fn at(origin: Origin, message: impl Into<String>) -> Problem {
        Problem {
            origin: Some(origin),
            value: None,
            message: one_line(message.into()),
            excerpt: None,
            is_unknown_key: false,
        }
    }

    /// A problem that has no single place.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Problem {
        Problem {
            origin: None,
            value: None,
            message: one_line(message.into()),
            excerpt: None,
            is_unknown_key: false,
        }
    }

    /// A problem with the value of a key that is known and not secret: `file:1:2: key = value: message`, or
    /// `VARIABLE=value: message`, where the variable's name already says the key.
    pub(crate) fn with_value(origin: Origin, key: &str, value: impl Into<String>, message: &str) -> Problem {
        let value = one_line(value.into());
        match origin {
            Origin::Variable(_) | Origin::Code(_) => Problem {
                origin: Some(origin),
                value: Some(value),
                message: one_line(message.to_owned()),
                excerpt: None,
                is_unknown_key: false,
            },
            _ => Problem::at(origin, format!("{key} = {value}: {message}")),
        }
    }

    /// Where it stands, if it stands in one place.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// What is wrong and what would be right, without the origin.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The wrong value of a variable or of a value set in code, if its key is not secret. A file's is in the message.
    #[must_use]
    pub fn found(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// The file's line, `2 | max_idle = …`, and a line below that underlines the key; no value is ever in it. `None` for
    /// what is in no line, or in one that can't be shown without a value.
    #[must_use]
    pub fn excerpt(&self) -> Option<String> {
        self.excerpt.as_ref().map(ToString::to_string)
    }

    /// The same, with more words at the end of the message.
    pub(crate) fn and(mut self, words: &str) -> Problem {
        self.message.push_str(words);
        self
    }

    /// The same, as one of a key that this version does not know.
    pub(crate) fn of_unknown_key(mut self) -> Problem {
        self.is_unknown_key = true;
        self
    }

    pub(crate) fn is_of_unknown_key(&self) -> bool {
        self.is_unknown_key
    }

    pub(crate) fn underline(&mut self, excerpt: Excerpt) {
        self.excerpt = Some(Box::new(excerpt));
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, &self.value) {
            (Some(origin), Some(value)) => write!(f, "{origin}={value}: {}", self.message)?,
            (Some(origin), None) => write!(f, "{origin}: {}", self.message)?,
            (None, _) => f.write_str(&self.message)?,
        }
        if f.alternate() {
            for line in self.excerpt().iter().flat_map(|excerpt| excerpt.lines()) {
                write!(f, "\n  {line}")?;
            }
        }
        Ok(())
    }
}
