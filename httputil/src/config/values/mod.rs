//! The values that people write: durations, sizes, `"none"`, header text, URLs, addresses.
//!
//! Each type is one small parser whose error says what would be right, an impl of serde's `Deserialize` on top of it,
//! and a schema. The checks (`kind`) call the same parsers, so a value that was accepted there always extracts.

mod addresses;
mod duration;
mod headers;
mod list;
mod proxy;
mod ruled;
mod secret;
mod size;
mod text;
mod url;
mod word;

pub(crate) use addresses::{Addresses, parse_address, show_address};
pub(crate) use duration::{DurationText, parse_duration, show_duration};
pub(crate) use headers::Headers;
pub(crate) use list::{Bases, Codings, EgressRules, FilePaths, Item, Methods, Origins, Pins, Scopes, Statuses, Urls};
pub(crate) use proxy::{Hosts, ProxyUrl};
pub(crate) use ruled::{Address, HeaderNameText, HostName, Interface, RateText, Rule, TokenUrl};
pub(crate) use secret::{SecretText, TokenText};
pub(crate) use size::{SizeText, parse_size, show_size};
pub(crate) use text::{FilePath, Free, HeaderText, Name, Names, check_header_text};
pub(crate) use word::{OrAuto, OrNone};
