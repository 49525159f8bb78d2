//! What a certificate says of itself. It is the peer's text: escaped, and cut.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Names beyond these are counted only.
const MANY_NAMES: usize = 8;

/// One certificate of a chain.
#[derive(Debug)]
pub(crate) struct Certificate {
    subject: String,
    issuer: String,
    names: Vec<String>,
    not_before: String,
    not_after: String,
    days_left: i64,
}

impl Certificate {
    /// `None` if it is none that can be read.
    pub(crate) fn read(der: &[u8]) -> Option<Certificate> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        let names = certificate.subject_alternative_name().ok().flatten();
        Some(Certificate {
            subject: harmless(&certificate.subject().to_string()),
            issuer: harmless(&certificate.issuer().to_string()),
            names: names
                .iter()
                .flat_map(|names| &names.value.general_names)
                .filter_map(name)
                .collect(),
            not_before: harmless(&validity.not_before.to_string()),
            not_after: harmless(&validity.not_after.to_string()),
            days_left: (validity.not_after.timestamp() - now()).div_euclid(86_400),
        })
    }

    pub(crate) fn to_json(&self) -> Json {
        json!({
            "subject": self.subject,
            "issuer": self.issuer,
            "names": self.names,
            "not_before": self.not_before,
            "not_after": self.not_after,
            "days_left": self.days_left,
        })
    }

    /// In lines, each with a line break.
    pub(crate) fn to_lines(&self) -> String {
        let mut names = self
            .names
            .iter()
            .take(MANY_NAMES)
            .cloned()
            .collect::<Vec<_>>()
            .join(", ");
        if self.names.len() > MANY_NAMES {
            _ = write!(names, ", and {} more", self.names.len() - MANY_NAMES);
        }
        let mut lines = vec![format!("issued by {}", or_nameless(&self.issuer))];
        if !names.is_empty() {
            lines.push(format!("for {names}"));
        }
        lines.push(format!(
            "from {} to {} ({} days left)",
            self.not_before, self.not_after, self.days_left
        ));
        let mut text = format!("{}\n", or_nameless(&self.subject));
        for line in lines {
            _ = writeln!(text, "      {line}");
        }
        text
    }
}

fn or_nameless(name: &str) -> &str {
    if name.is_empty() { "(no name)" } else { name }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(harmless(name)),
        GeneralName::URI(uri) => Some(harmless(uri)),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|bytes| std::net::IpAddr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|bytes| std::net::IpAddr::from(bytes).to_string()),
        },
        _ => None,
    }
}

/// Text of a peer, for a terminal.
pub(crate) fn harmless(text: &str) -> String {
    let cut: String = text.chars().take(200).collect();
    cut.escape_debug().collect()
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
