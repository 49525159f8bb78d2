//! One TCP connection with the profile's socket options.

use std::io;
use std::net::SocketAddr;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

use crate::settings::Tcp;

/// Opens a connection to one address.
pub(super) async fn dial(address: SocketAddr, options: Tcp) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    let stream = socket.connect(address).await?;
    apply(&stream, &options)?;
    Ok(stream)
}

/// Sets `tcp.*` on a connected socket.
fn apply(stream: &TcpStream, options: &Tcp) -> io::Result<()> {
    stream.set_nodelay(options.nodelay)?;
    let Some(first_probe) = options.keepalive else {
        return Ok(());
    };
    // With only the first probe's time set, the kernel would go on at its own pace: 9 probes, 75 s apart.
    let keepalive = TcpKeepalive::new()
        .with_time(first_probe)
        .with_interval(options.keepalive_interval.unwrap_or(first_probe));
    #[cfg(not(windows))]
    let keepalive = keepalive.with_retries(options.keepalive_retries);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_first_probe_the_interval_and_the_retries_are_all_set() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = dial(listener.local_addr().unwrap(), Tcp::default()).await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(30));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(30));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    }

    #[tokio::test]
    async fn none_sends_no_probes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = Tcp {
            keepalive: None,
            nodelay: false,
            ..Tcp::default()
        };
        let stream = dial(listener.local_addr().unwrap(), options).await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(!socket.keepalive().unwrap() && !socket.tcp_nodelay().unwrap());
    }
}
