//! What a request's URL may be written as.

use std::sync::{Arc, OnceLock};

use url::{ParseError, Url};

use super::address::Known;
use super::failure;
use super::handle::Inner;
use super::in_force::InForce;
use crate::error::{Error, Kind};
use crate::settings::BaseUrl;
use sealed::Asked;

/// A URL, or text that is one: `&str`, `String`, `&String`, [`Url`] or `&Url`.
///
/// Text may be relative where the profile has a `base_url`, which is then its prefix: with `base_url =
/// "https://host/v1"`, both `users/7` and `/users/7` are `https://host/v1/users/7`. A relative URL that would leave its base
/// (`//other`, a backslash, `..` beyond the prefix) is an error of `send()`. What has a scheme goes where it says, also where
/// `base_url` is a list: to one of several endpoints only a relative URL goes. Text with line breaks, tabs or other control
/// characters, or with spaces at its ends, is an error: a parser would take them out silently.
pub trait IntoUrl: sealed::Sealed {}

impl<T: sealed::Sealed> IntoUrl for T {}

mod sealed {
    use url::{ParseError, Url};

    use crate::settings::check_url_text;

    #[derive(Debug)]
    pub enum Asked {
        Whole(Url),
        Relative(String),
        Neither(ParseError),
        /// A parser would change it.
        Unfit(&'static str),
    }

    pub trait Sealed {
        fn asked(self) -> Asked;

        /// What has to be parsed.
        fn text(&self) -> Option<&str> {
            None
        }
    }

    impl Sealed for Url {
        fn asked(self) -> Asked {
            Asked::Whole(self)
        }
    }

    impl Sealed for &Url {
        fn asked(self) -> Asked {
            Asked::Whole(self.clone())
        }
    }

    impl Sealed for &str {
        fn asked(self) -> Asked {
            if let Err(why) = check_url_text(self) {
                return Asked::Unfit(why);
            }
            match Url::parse(self) {
                Ok(url) => Asked::Whole(url),
                Err(ParseError::RelativeUrlWithoutBase) => Asked::Relative(self.to_owned()),
                Err(error) => Asked::Neither(error),
            }
        }

        fn text(&self) -> Option<&str> {
            Some(self)
        }
    }

    impl Sealed for String {
        fn asked(self) -> Asked {
            self.as_str().asked()
        }

        fn text(&self) -> Option<&str> {
            Some(self)
        }
    }

    impl Sealed for &String {
        fn asked(self) -> Asked {
            self.as_str().asked()
        }

        fn text(&self) -> Option<&str> {
            Some(self)
        }
    }
}

/// The text that a client was asked first, parsed. A service mostly asks one URL over and over (a collector, a webhook),
/// and to copy one costs a twentieth of parsing it.
#[derive(Default)]
pub(super) struct First(OnceLock<(String, Resolved)>);

/// A whole URL, and whether somebody wrote it so.
#[derive(Clone)]
pub(super) struct Resolved {
    pub(super) url: Arc<Known>,
    /// It was joined to `base_url`.
    pub(super) is_relative: bool,
}

/// A text longer than this is not kept.
const MOST: usize = 1024;

/// The whole URL that was meant.
pub(super) fn resolve(client: &Inner, url: impl IntoUrl) -> Result<Resolved, Error> {
    let in_force = client.in_force.load();
    let First(first) = &in_force.first;
    let text = url.text().filter(|text| text.len() <= MOST);
    let text = match (first.get(), text) {
        (Some((known, resolved)), Some(text)) if known == text => return Ok(resolved.clone()),
        (None, Some(text)) => Some(text.to_owned()),
        _ => None,
    };
    let (url, is_relative) = parse(client, &in_force, url)?;
    let url = match text {
        None => Arc::new(Known::new(url)),
        Some(_) => Arc::new(Known::looked_at(url)),
    };
    let resolved = Resolved { url, is_relative };
    if let Some(text) = text {
        let _ = first.set((text, resolved.clone()));
    }
    Ok(resolved)
}

/// The whole URL, and whether it was joined to `base_url`.
fn parse(client: &Inner, in_force: &InForce, url: impl IntoUrl) -> Result<(Url, bool), Error> {
    let (why, error) = match (url.asked(), &in_force.base) {
        (Asked::Whole(url), _) => return Ok((url, false)),
        (Asked::Relative(text), Some(base)) => return join(client, base, &text).map(|url| (url, true)),
        (Asked::Relative(_), None) => {
            let error = ParseError::RelativeUrlWithoutBase;
            (format!("{error}; write the whole URL, or set base_url"), error)
        }
        (Asked::Neither(error), _) => (error.to_string(), error),
        (Asked::Unfit(why), _) => return Err(failure::of_text(client, why)),
    };
    Err(failure::of_text(client, &why).with_source(Arc::new(error)))
}

/// A relative URL behind its base. It is not repeated where it is wrong: nobody knows which part would be a secret.
pub(super) fn join(client: &Inner, base: &BaseUrl, relative: &str) -> Result<Url, Error> {
    base.join(relative).map_err(|why| failure::of_text(client, why))
}

/// That a URL leads to a socket which is not this client's own: those are reached through `base_url` alone, lest
/// somebody's URL leads a server of ours to one.
pub(super) fn foreign_socket() -> Error {
    Error::new(
        Kind::Request,
        "a Unix socket is reached through relative URLs of a profile whose base_url it is, and in no other way",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;
    use crate::settings::ClientConfig;

    #[test]
    fn text_that_a_parser_would_change_silently_is_refused_relative_or_not() {
        let client = Client::new(ClientConfig::default().base_url("https://a.test")).unwrap();
        for text in ["x\ny", "x\r\nhost: b", "\tx", " x", "x ", "x\0"] {
            for url in [text.replace('x', "/x"), text.replace('x', "https://a.test/x")] {
                let error = client.get(&url).build().unwrap_err();
                assert_eq!(error.kind(), Kind::Request, "{url:?}");
                assert!(error.to_string().contains("no line breaks"), "{url:?}: {error}");
            }
        }
        let error = client.get("https://canary\n.test/").build().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the request cannot be built: a URL holds no line breaks, tabs and other control characters, and no spaces at its \
             ends (profile default)"
        );
    }
}
