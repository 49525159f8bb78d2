//! Names whose addresses are given: `"host" = ["10.0.0.1:443"]`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// Hosts and their addresses; the check has made a list of texts of each.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Addresses(BTreeMap<String, Vec<String>>);

impl Addresses {
    /// As settings hold them.
    pub(crate) fn parsed(self) -> BTreeMap<String, Vec<SocketAddr>> {
        let parsed = |texts: Vec<String>| texts.iter().filter_map(|text| parse_address(text).ok()).collect();
        self.0.into_iter().map(|(host, texts)| (host, parsed(texts))).collect()
    }
}

/// An address with or without a port; port 0 stands for "the URL's". The error says what would be right.
pub(crate) fn parse_address(text: &str) -> Result<SocketAddr, Cow<'static, str>> {
    let address = match text.parse::<IpAddr>() {
        Ok(ip) => return Ok(SocketAddr::new(ip, 0)),
        Err(_) => text.parse::<SocketAddr>(),
    };
    match address {
        Ok(address) if address.port() == 0 => {
            Err("port 0 cannot be connected to; leave it out to take the URL's".into())
        }
        Ok(address) => Ok(address),
        Err(_) => Err("expected an address such as \"10.0.0.1\", \"10.0.0.1:443\" or \"[2001:db8::1]:443\"".into()),
    }
}

/// An address as it would be written.
pub(crate) fn show_address(address: &SocketAddr) -> String {
    match address.port() {
        0 => address.ip().to_string(),
        _ => address.to_string(),
    }
}

impl JsonSchema for Addresses {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Addresses".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "x-kind": "addresses",
            "propertyNames": { "pattern": "^[^A-Z:/]+$" },
            "additionalProperties": { "type": "array", "items": { "type": "string", "pattern": "^[0-9a-fA-F.:\\[\\]]+$" } }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_no_port() {
        for (text, port) in [("10.0.0.1", 0), ("10.0.0.1:443", 443), ("::1", 0), ("[::1]:443", 443)] {
            let address = parse_address(text).unwrap();
            assert_eq!((address.port(), show_address(&address).as_str()), (port, text));
        }
        for text in [
            "",
            "localhost",
            "10.0.0.1:0",
            "10.0.0.1:99999",
            "[::1]",
            "http://10.0.0.1",
            "010.0.0.1",
        ] {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }
}
