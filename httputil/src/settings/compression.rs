//! Which compressed answers are asked for, and how far they may grow.

/// `[compression]`: answers that come compressed, and are read as if they did not.
///
/// Each coding needs the feature of this crate that is named after it (`br`: `brotli`). A request that brings its own
/// `Accept-Encoding`, or asks for a `Range`, gets its answer as it is on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compression {
    /// `compression.accept`: the codings that are asked for, best first. Default gzip, br and zstd, those of them that this
    /// program was built with; empty asks for none.
    pub accept: Vec<Coding>,
    /// `compression.max_ratio`: how many bytes may come of one byte on the wire, counted beyond the first 16 MiB. Default 100.
    pub max_ratio: u32,
}

impl Default for Compression {
    fn default() -> Compression {
        Compression {
            accept: vec![Coding::Gzip, Coding::Br, Coding::Zstd],
            max_ratio: 100,
        }
    }
}

/// A content coding (RFC 9110 §8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Coding {
    /// `"gzip"`, RFC 1952, several members in a row included. Needs the feature `gzip`.
    Gzip,
    /// `"br"`: Brotli, RFC 7932. Needs the feature `brotli`.
    Br,
    /// `"zstd"`, RFC 8878, with windows of up to 8 MiB (RFC 9659). Needs the feature `zstd`.
    Zstd,
    /// `"deflate"`: zlib, RFC 1950, or what some servers send under this name, RFC 1951. Needs the feature `deflate`.
    Deflate,
}

impl Coding {
    pub(crate) const ALL: [Coding; 4] = [Coding::Gzip, Coding::Br, Coding::Zstd, Coding::Deflate];

    /// Its name in headers and in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Br => "br",
            Coding::Zstd => "zstd",
            Coding::Deflate => "deflate",
        }
    }

    /// The coding that the configuration calls so; the error says what there is.
    pub(crate) fn parse(name: &str) -> Result<Coding, &'static str> {
        let mut all = Coding::ALL.into_iter();
        all.find(|coding| coding.name() == name)
            .ok_or("expected \"gzip\", \"br\", \"zstd\" or \"deflate\"")
    }

    fn feature(self) -> (&'static str, bool) {
        match self {
            Coding::Gzip => ("gzip", cfg!(feature = "gzip")),
            Coding::Br => ("brotli", cfg!(feature = "brotli")),
            Coding::Zstd => ("zstd", cfg!(feature = "zstd")),
            Coding::Deflate => ("deflate", cfg!(feature = "deflate")),
        }
    }

    /// Whether this program was built with it.
    pub fn is_built_in(self) -> bool {
        self.feature().1
    }
}

/// Why a coding that is wished for cannot be had, if one cannot: this program was built without it.
pub(crate) fn without_coding(accept: &[Coding]) -> Option<String> {
    let missing = accept.iter().find(|coding| !coding.is_built_in())?;
    let (feature, _) = missing.feature();
    Some(format!(
        "this program was built without {}; turn on httputil's feature \"{feature}\", or leave it out",
        missing.name()
    ))
}
