//! The names that `dns.overrides` may lead elsewhere.

use std::borrow::Cow;

/// Whether the host is written as URLs name it; the error says what would be right.
pub(crate) fn check_host(host: &str) -> Result<(), Cow<'static, str>> {
    match url::Host::parse(host) {
        Ok(url::Host::Domain(name)) if name == host && !name.ends_with('.') => Ok(()),
        Ok(url::Host::Domain(name)) => Err(format!(
            "a host is written as URLs name it; write \"{}\"",
            name.trim_end_matches('.')
        )
        .into()),
        Ok(_) => Err("an address is not looked up; only a name can be led elsewhere".into()),
        Err(_) => Err("no host has this name".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_written_as_urls_name_it() {
        assert_eq!(check_host("db.internal"), Ok(()));
        let quoted = |host| check_host(host).unwrap_err().into_owned();
        assert!(quoted("DB.internal").ends_with("write \"db.internal\""));
        assert!(quoted("db.internal.").ends_with("write \"db.internal\""));
        assert!(quoted("bücher.test").ends_with("write \"xn--bcher-kva.test\""));
        assert!(quoted("10.0.0.1").contains("not looked up"));
        for host in ["", "a b", "http://db", "db:80"] {
            assert_eq!(quoted(host), "no host has this name", "{host}");
        }
    }
}
