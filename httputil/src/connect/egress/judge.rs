//! The judgement: of a target as its URL names it, and of the addresses that it leads to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::address::{has_any_form, is_private};
use super::rule::Rule;
use crate::connect::{DialFailure, Host, Route, Scheme, Target};
use crate::error::Kind;
use crate::settings;

/// The rules of one pool.
#[derive(Debug)]
pub(crate) struct Egress {
    allow: Vec<Rule>,
    deny: Vec<Rule>,
    deny_private: bool,
    https_only: bool,
    trust_proxy: bool,
}

/// Which key refused whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Egress {
    /// The rules of these settings, `None` if they refuse nothing. A rule that cannot be read refuses everything: whoever
    /// makes settings has checked them, and a lock that is broken stays shut.
    pub(crate) fn of(settings: &settings::Egress) -> Option<Arc<Egress>> {
        if *settings == settings::Egress::default() {
            return None;
        }
        let read = |rules: &[String]| {
            rules
                .iter()
                .map(|rule| Rule::parse(rule))
                .collect::<Result<Vec<_>, _>>()
        };
        let (allow, deny) = match (read(&settings.allow), read(&settings.deny)) {
            (Ok(allow), Ok(deny)) => (allow, deny),
            _ => (Vec::new(), Rule::parse("*").into_iter().collect()),
        };
        Some(Arc::new(Egress {
            allow,
            deny,
            deny_private: settings.deny_private,
            https_only: settings.https_only,
            trust_proxy: settings.trust_proxy,
        }))
    }

    /// Judges what a request's URL says, before anything is looked up or dialled.
    pub(crate) fn judge(&self, target: &Target, route: &Route) -> Result<(), Refusal> {
        if self.https_only && target.scheme != Scheme::Https {
            let message = format!(
                "egress.https_only refuses {}: only https may be spoken",
                target.origin()
            );
            return Err(Refusal(message));
        }
        match &target.host {
            // Only the client's own base_url leads there.
            Host::Socket(_) => Ok(()),
            Host::Ip(ip) => self
                .judge_address(*ip, target.port, false)
                .map_err(|why| why.of(target)),
            Host::Name(name) => self.judge_name(plain(name), target, route),
        }
    }

    fn judge_name(&self, name: &str, target: &Target, route: &Route) -> Result<(), Refusal> {
        if let Some(rule) = self.deny.iter().find(|rule| rule.covers_name(name, target.port)) {
            return Err(Why::Denied(rule).of(target));
        }
        // Whoever looks it up, and whatever they find (RFC 6761 §6.3).
        if self.deny_private && target.is_loopback() {
            return Err(Why::Private(None).of(target));
        }
        let is_allowed = self.allows_name(name, target.port);
        let hidden_by = route.proxy().filter(|proxy| proxy.resolves_names());
        let by_address = hidden_by.is_none() && self.allow.iter().any(Rule::is_about_addresses);
        if !is_allowed && !by_address {
            return Err(Why::NotAllowed(None).of(target));
        }
        let Some(proxy) = hidden_by.filter(|_| !self.trust_proxy) else {
            return Ok(());
        };
        let key = if self.deny_private {
            "egress.deny_private"
        } else if self.deny.iter().any(Rule::is_about_addresses) {
            "egress.deny"
        } else {
            return Ok(());
        };
        Err(Refusal(format!(
            "{key} cannot be kept for {target}: the proxy {proxy} looks names up itself; use socks5://, or leave it to the \
             proxy with egress.trust_proxy = true"
        )))
    }

    /// Leaves of the addresses that a target leads to those that may be dialled; an error if none may.
    pub(crate) fn sift(&self, target: &Target, addresses: &mut Vec<SocketAddr>) -> Result<(), DialFailure> {
        let is_allowed = match &target.host {
            Host::Name(name) => self.allows_name(plain(name), target.port),
            Host::Ip(_) => false,
            Host::Socket(_) => return Ok(()),
        };
        let mut refused = None;
        let mut others = 0_usize;
        addresses.retain(
            |address| match self.judge_address(address.ip(), address.port(), is_allowed) {
                Ok(()) => true,
                Err(why) => {
                    if refused.is_none() {
                        refused = Some(why);
                    } else {
                        others += 1;
                    }
                    false
                }
            },
        );
        let Some(why) = refused else { return Ok(()) };
        let refusal = why.of(target);
        tracing::debug!(%target, "{refusal}");
        if !addresses.is_empty() {
            return Ok(());
        }
        let more = if others > 0 {
            format!(" (and {others} more)")
        } else {
            String::new()
        };
        Err(DialFailure {
            is_lasting: true,
            ..DialFailure::new(Kind::Egress, format!("{refusal}{more}"))
        })
    }

    fn allows_name(&self, name: &str, port: u16) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|rule| rule.covers_name(name, port))
    }

    fn judge_address(&self, ip: IpAddr, port: u16, is_allowed: bool) -> Result<(), Why<'_>> {
        let denies = |rule: &&Rule| rule.covers_address(port, |network| has_any_form(network, ip));
        if let Some(rule) = self.deny.iter().find(denies) {
            return Err(Why::DeniedAddress(rule, ip));
        }
        if self.deny_private && is_private(ip) {
            return Err(Why::Private(Some(ip)));
        }
        let own = ip.to_canonical();
        let allows = |rule: &Rule| rule.covers_address(port, |network| network.contains(&own));
        if is_allowed || self.allow.is_empty() || self.allow.iter().any(allows) {
            Ok(())
        } else {
            Err(Why::NotAllowed(Some(ip)))
        }
    }
}

/// The rule, and the address if it was one.
#[derive(Clone, Copy)]
enum Why<'a> {
    Denied(&'a Rule),
    DeniedAddress(&'a Rule, IpAddr),
    Private(Option<IpAddr>),
    NotAllowed(Option<IpAddr>),
}

impl Why<'_> {
    fn of(self, target: &Target) -> Refusal {
        // Of a literal it need not be said that it leads to itself.
        let whom = |ip: IpAddr| match &target.host {
            Host::Ip(_) => target.to_string(),
            _ => format!("{target}, which leads to {ip}"),
        };
        Refusal(match self {
            Why::Denied(rule) => format!("egress.deny = \"{rule}\" refuses {target}"),
            Why::DeniedAddress(rule, ip) => format!("egress.deny = \"{rule}\" refuses {}", whom(ip)),
            Why::Private(Some(ip)) => format!("egress.deny_private refuses {}", whom(ip)),
            Why::Private(None) => format!("egress.deny_private refuses {target}, this machine"),
            Why::NotAllowed(Some(ip)) => format!("egress.allow does not list {}", whom(ip)),
            Why::NotAllowed(None) => format!("egress.allow does not list {target}"),
        })
    }
}

/// A trailing dot says that the name is complete, and is no part of it.
fn plain(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn egress(change: impl FnOnce(&mut settings::Egress)) -> Arc<Egress> {
        let mut settings = settings::Egress::default();
        change(&mut settings);
        Egress::of(&settings).unwrap()
    }

    fn list(rules: &[&str]) -> Vec<String> {
        rules.iter().map(|&rule| rule.to_owned()).collect()
    }

    fn judged(egress: &Egress, url: &str) -> Result<(), String> {
        let target = Target::of(&url.parse().unwrap()).unwrap();
        egress
            .judge(&target, &Route::Direct)
            .map_err(|refusal| refusal.to_string())
    }

    /// The addresses that are left of these.
    fn sifted(egress: &Egress, url: &str, addresses: &[&str]) -> Result<Vec<String>, String> {
        let target = Target::of(&url.parse().unwrap()).unwrap();
        let mut addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        egress
            .sift(&target, &mut addresses)
            .map(|()| addresses.iter().map(ToString::to_string).collect())
            .map_err(|failure| failure.message.to_string())
    }

    #[test]
    fn no_rule_is_no_guard() {
        assert!(Egress::of(&settings::Egress::default()).is_none());
    }

    #[test]
    fn a_rule_that_cannot_be_read_refuses_everything() {
        let egress = egress(|settings| settings.deny = list(&["http://nonsense/"]));
        assert!(judged(&egress, "https://example.com/").is_err());
        assert!(judged(&egress, "https://8.8.8.8/").is_err());
    }

    #[test]
    fn a_literal_is_judged_however_it_is_written() {
        let egress = egress(|settings| settings.deny = list(&["127.0.0.0/8"]));
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[64:ff9b::127.0.0.1]/",
            "http://１２７.0.0.1/",
            "http://user@127.0.0.1:8080/",
        ] {
            let refused = judged(&egress, url).unwrap_err();
            assert!(
                refused.starts_with("egress.deny = \"127.0.0.0/8\" refuses "),
                "{url}: {refused}"
            );
        }
        assert_eq!(judged(&egress, "http://8.8.8.8/"), Ok(()));
        assert_eq!(judged(&egress, "http://name/"), Ok(()), "it is not known yet");
    }

    #[test]
    fn a_name_is_judged_however_it_is_written() {
        let egress = egress(|settings| settings.deny = list(&["bücher.test", "*.internal"]));
        for url in [
            "http://bücher.test/",
            "http://BÜCHER.test/",
            "http://xn--bcher-kva.test./",
            "http://a.internal:81/",
            "http://A.INTERNAL./",
        ] {
            assert!(judged(&egress, url).is_err(), "{url}");
        }
        assert_eq!(judged(&egress, "http://internal/"), Ok(()));
    }

    #[test]
    fn what_is_denied_stays_refused_whatever_is_allowed() {
        let egress = egress(|settings| {
            settings.allow = list(&["api.test", "10.0.0.0/8", "203.0.113.7"]);
            settings.deny = list(&["10.9.0.0/16", "*:25"]);
        });
        assert_eq!(judged(&egress, "http://api.test/"), Ok(()));
        assert!(judged(&egress, "http://api.test:25/").is_err());
        assert_eq!(judged(&egress, "http://10.1.0.1/"), Ok(()));
        assert!(judged(&egress, "http://10.9.0.1/").unwrap_err().contains("egress.deny"));
        assert_eq!(
            judged(&egress, "http://9.9.9.9/").unwrap_err(),
            "egress.allow does not list 9.9.9.9:80"
        );
        // A name that is listed may lead anywhere else; one that is not, to what is listed.
        assert_eq!(
            sifted(&egress, "http://api.test/", &["9.9.9.9:80", "10.9.1.1:80"]),
            Ok(vec!["9.9.9.9:80".to_owned()])
        );
        assert_eq!(
            sifted(&egress, "http://other.test/", &["9.9.9.9:80", "10.1.1.1:80"]),
            Ok(vec!["10.1.1.1:80".to_owned()])
        );
        assert_eq!(
            sifted(&egress, "http://other.test/", &["9.9.9.9:80", "8.8.8.8:80"]).unwrap_err(),
            "egress.allow does not list other.test:80, which leads to 9.9.9.9 (and 1 more)"
        );
        // What stands for an address is that address for those who deny, and not for those who allow.
        assert!(sifted(&egress, "http://other.test/", &["[64:ff9b::10.1.1.1]:80"]).is_err());
    }

    #[test]
    fn names_alone_are_allowed_before_anything_is_looked_up() {
        let egress = egress(|settings| settings.allow = list(&["*.example.com:443"]));
        assert_eq!(judged(&egress, "https://a.example.com/"), Ok(()));
        for url in [
            "https://example.com/",
            "http://a.example.com/",
            "https://1.1.1.1/",
            "https://a.example.com.evil/",
        ] {
            assert!(judged(&egress, url).unwrap_err().starts_with("egress.allow"), "{url}");
        }
    }

    #[test]
    fn this_machine_is_private_by_name_too() {
        let egress = egress(|settings| settings.deny_private = true);
        for url in [
            "http://localhost/",
            "http://a.LOCALHOST./",
            "http://[::1]/",
            "http://0/",
        ] {
            assert!(
                judged(&egress, url).unwrap_err().starts_with("egress.deny_private"),
                "{url}"
            );
        }
        assert_eq!(
            sifted(&egress, "http://a.test/", &["127.0.0.1:80"]).unwrap_err(),
            "egress.deny_private refuses a.test:80, which leads to 127.0.0.1"
        );
    }

    #[test]
    fn only_https_means_sockets_too() {
        let egress = egress(|settings| settings.https_only = true);
        assert_eq!(judged(&egress, "https://a.test/"), Ok(()));
        assert_eq!(
            judged(&egress, "http://a.test/").unwrap_err(),
            "egress.https_only refuses http://a.test:80: only https may be spoken"
        );
        assert!(judged(&egress, "http+unix://%2Frun%2Fapp.sock/").is_err());
    }
}
