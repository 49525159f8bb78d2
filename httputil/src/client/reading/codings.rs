//! Which codings are asked for, and which coding an answer has.

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, RANGE};

use crate::settings::{Coding, Compression};

/// The codings that a profile asks for, those of them that this program was built with.
#[derive(Debug)]
pub(in crate::client) struct Codings {
    accepted: Vec<Coding>,
    /// `Accept-Encoding`.
    pub(in crate::client) header: HeaderValue,
    pub(super) max_ratio: u32,
}

impl Codings {
    /// `None` if there are none.
    pub(in crate::client) fn of(settings: &Compression) -> Option<Codings> {
        let accepted = settings.accept.iter().copied().filter(|coding| coding.is_built_in());
        let accepted: Vec<Coding> = accepted.collect();
        let names: Vec<&str> = accepted.iter().map(|coding| coding.name()).collect();
        let header = HeaderValue::from_str(&names.join(", ")).ok()?;
        (!accepted.is_empty()).then_some(Codings {
            accepted,
            header,
            max_ratio: settings.max_ratio,
        })
    }

    /// Whether a request with these headers of its own leaves it to us which coding its answer has. Of a part of something
    /// nobody could make the whole, were it another part than that of the bytes that are read.
    pub(in crate::client) fn are_for(headers: &HeaderMap) -> bool {
        !headers.contains_key(ACCEPT_ENCODING) && !headers.contains_key(RANGE)
    }

    /// The coding of an answer, if it is one that was asked for, and the only one. What is coded twice is the user's: it
    /// would have to be bounded twice, and nobody asked for it.
    pub(super) fn coding_of(&self, headers: &HeaderMap) -> Option<Coding> {
        let mut only = None;
        for line in headers.get_all(CONTENT_ENCODING) {
            let names = line.to_str().ok()?.split(',').map(str::trim);
            for name in names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity")) {
                if only.is_some() {
                    return None;
                }
                // RFC 9110 §8.4.1.3.
                let is_gzip = name.eq_ignore_ascii_case("x-gzip");
                let is_it = |coding: &&Coding| {
                    coding.name().eq_ignore_ascii_case(name) || (is_gzip && **coding == Coding::Gzip)
                };
                only = Some(*self.accepted.iter().find(is_it)?);
            }
        }
        only
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coding(lines: &[&'static str]) -> Option<Coding> {
        let codings = Codings {
            accepted: vec![Coding::Gzip, Coding::Br],
            header: HeaderValue::from_static("gzip, br"),
            max_ratio: 100,
        };
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(line));
        }
        codings.coding_of(&headers)
    }

    #[test]
    fn one_coding_that_was_asked_for_is_decoded_and_no_other() {
        for gzip in [
            &["gzip"][..],
            &["GZIP"],
            &["x-gzip"],
            &[" identity , gzip"],
            &["identity", "gzip", ""],
        ] {
            assert_eq!(coding(gzip), Some(Coding::Gzip), "{gzip:?}");
        }
        assert_eq!(coding(&["br"]), Some(Coding::Br));
        for other in [
            &[][..],
            &["identity"],
            &["zstd"],
            &["gzip, br"],
            &["gzip", "gzip"],
            &["gzip", "compress"],
        ] {
            assert_eq!(coding(other), None, "{other:?}");
        }
    }

    #[test]
    fn what_this_program_was_not_built_with_is_not_asked_for() {
        let settings = Compression {
            accept: Coding::ALL.to_vec(),
            ..Compression::default()
        };
        let built_in: Vec<&str> = Coding::ALL
            .into_iter()
            .filter(|coding| coding.is_built_in())
            .map(Coding::name)
            .collect();
        let asked = Codings::of(&settings).map(|codings| codings.header.to_str().unwrap().to_owned());
        assert_eq!(asked.unwrap_or_default(), built_in.join(", "));
    }
}
