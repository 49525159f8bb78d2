//! hickory: the system's name servers, asked by tasks instead of threads.
//!
//! A resolver is made for each look-up, and keeps nothing: answers are kept in our own cache, its sockets live on the
//! runtime that asks, and a changed `/etc/resolv.conf` counts from the next look-up on.

use std::net::IpAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;

use super::failure::LookUpFailure;

/// All addresses of the name, of both families.
pub(super) async fn look_up(name: &str) -> Result<Vec<IpAddr>, LookUpFailure> {
    let builder = TokioResolver::builder_tokio().map_err(failed)?;
    look_up_by(builder, name).await
}

type Builder = hickory_resolver::ResolverBuilder<hickory_resolver::net::runtime::TokioRuntimeProvider>;

async fn look_up_by(mut builder: Builder, name: &str) -> Result<Vec<IpAddr>, LookUpFailure> {
    let options = builder.options_mut();
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.cache_size = 0;
    let resolver = builder.build().map_err(failed)?;
    match resolver.lookup_ip(name).await {
        Ok(answer) => Ok(answer.iter().collect()),
        Err(error) if error.is_no_records_found() && !error.is_nx_domain() => Err(LookUpFailure::empty()),
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> LookUpFailure {
    LookUpFailure::of_resolver(Box::new(error))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use tokio::net::UdpSocket;

    use super::*;

    /// What the name server says: `a.test` has an address of each family, `v4.test` of one, `none.test` is there and has
    /// none, `slow.test` gets no answer, and all others are not there.
    fn answer(query: &[u8]) -> Option<Vec<u8>> {
        let question = query.get(12..)?;
        let end = question.iter().position(|byte| *byte == 0)? + 5;
        let question = question.get(..end)?;
        let (name, kind) = (question.get(1..end - 5)?, *question.get(end - 3)?);
        let (is_there, data): (bool, Vec<u8>) = match (name, kind) {
            (b"slow\x04test", _) => return None,
            (b"a\x04test" | b"v4\x04test", 1) => (true, Ipv4Addr::new(10, 0, 0, 1).octets().to_vec()),
            (b"a\x04test", 28) => (true, Ipv6Addr::LOCALHOST.octets().to_vec()),
            (b"v4\x04test" | b"none\x04test", _) => (true, Vec::new()),
            _ => (false, Vec::new()),
        };
        let mut reply = query.get(..2)?.to_vec();
        reply.extend([
            0x81,
            if is_there { 0x80 } else { 0x83 },
            0,
            1,
            0,
            u8::from(!data.is_empty()),
            0,
            0,
            0,
            0,
        ]);
        reply.extend(question);
        if !data.is_empty() {
            // The name above, class IN, and the longest time to live that there is.
            reply.extend([
                0xc0,
                12,
                0,
                kind,
                0,
                1,
                0x7f,
                0xff,
                0xff,
                0xff,
                0,
                u8::try_from(data.len()).ok()?,
            ]);
            reply.extend(data);
        }
        Some(reply)
    }

    /// A name server on loopback, and how often it was asked.
    async fn name_server() -> (SocketAddr, Arc<AtomicUsize>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query).await {
                counted.fetch_add(1, Ordering::SeqCst);
                if let Some(reply) = answer(&query[..length]) {
                    socket.send_to(&reply, from).await.unwrap();
                }
            }
        });
        (address, asked)
    }

    fn asking(server: SocketAddr) -> Builder {
        let mut connection = ConnectionConfig::udp();
        connection.port = server.port();
        let server = NameServerConfig::new(server.ip(), true, vec![connection]);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    }

    #[tokio::test]
    async fn a_name_leads_to_its_addresses_of_both_families() {
        let (server, _) = name_server().await;
        let mut addresses = look_up_by(asking(server), "a.test.").await.unwrap();
        addresses.sort_unstable();
        let expected: [IpAddr; 2] = [Ipv4Addr::new(10, 0, 0, 1).into(), Ipv6Addr::LOCALHOST.into()];
        assert_eq!(addresses, expected);
        let addresses = look_up_by(asking(server), "v4.test.").await.unwrap();
        assert_eq!(addresses, expected[..1]);
    }

    #[tokio::test]
    async fn a_name_without_addresses_and_one_that_is_not_there_are_told_apart() {
        let (server, _) = name_server().await;
        let message = |failure: LookUpFailure| failure.of_dial("it", "").message.to_string();
        let none = look_up_by(asking(server), "none.test.").await.unwrap_err();
        assert_eq!(message(none), "name look-up of it gave no address");
        let gone = look_up_by(asking(server), "gone.test.").await.unwrap_err();
        assert!(message(gone).starts_with("name look-up of it failed: "));
    }

    #[tokio::test]
    async fn a_look_up_that_is_given_up_leaves_no_task() {
        let (server, asked) = name_server().await;
        let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let look_up = look_up_by(asking(server), "slow.test.");
        let given_up = tokio::time::timeout(Duration::from_millis(100), look_up).await;
        assert!(given_up.is_err() && asked.load(Ordering::SeqCst) > 0);
        let ended = tokio::time::timeout(Duration::from_secs(10), async {
            while tokio::runtime::Handle::current().metrics().num_alive_tasks() > before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(ended.await.is_ok(), "a task of the look-up lives on");
    }
}
