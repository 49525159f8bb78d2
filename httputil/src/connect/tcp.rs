//! One TCP connection with the profile's socket options.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

use crate::settings::Tcp;

/// Whether a network interface can be called so; the error says what would be right.
pub(crate) fn check_interface(name: &str) -> Result<(), &'static str> {
    let is_one = matches!(name.len(), 1..=15)
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':'))
        && !matches!(name, "." | "..");
    if cfg!(not(target_os = "linux")) {
        return Err("connections can be bound to an interface on Linux only");
    }
    is_one
        .then_some(())
        .ok_or("expected the name of a network interface such as \"eth0\", 15 characters at most")
}

/// What this machine refused for an option that a key sets: no fault of the host's.
#[derive(Debug)]
pub(super) struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// Whether a key of ours is to blame.
pub(super) fn is_refused(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(<dyn std::error::Error + Send + Sync>::is::<Refused>)
}

/// The addresses that can be reached from `tcp.local_address`; the error says why there are none.
pub(super) fn reachable(addresses: Vec<SocketAddr>, options: &Tcp) -> Result<Vec<SocketAddr>, String> {
    let Some(local) = options.local_address else {
        return Ok(addresses);
    };
    let reachable: Vec<SocketAddr> = addresses
        .into_iter()
        .filter(|address| address.is_ipv4() == local.is_ipv4())
        .collect();
    if reachable.is_empty() {
        let (ours, theirs) = if local.is_ipv4() {
            ("IPv4", "IPv6")
        } else {
            ("IPv6", "IPv4")
        };
        return Err(format!(
            "it has {theirs} addresses only, and tcp.local_address = {local} is one of {ours}"
        ));
    }
    Ok(reachable)
}

/// Opens a connection to one address.
pub(super) async fn dial(address: SocketAddr, options: Tcp) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(interface) = &options.interface {
        bind_to(&socket, interface)?;
    }
    if let Some(local) = options.local_address {
        bind(&socket, local)?;
    }
    let stream = socket.connect(address).await?;
    apply(&stream, &options)?;
    Ok(stream)
}

fn bind(socket: &TcpSocket, local: IpAddr) -> io::Result<()> {
    socket
        .bind(SocketAddr::new(local, 0))
        .map_err(|error| match error.kind() {
            io::ErrorKind::AddrNotAvailable => {
                let words = format!("tcp.local_address = {local} is no address of this machine");
                io::Error::new(error.kind(), Refused(words))
            }
            _ => error,
        })
}

#[cfg(target_os = "linux")]
fn bind_to(socket: &TcpSocket, interface: &str) -> io::Result<()> {
    /// What `SO_BINDTODEVICE` says of a name that no interface has.
    const ENODEV: i32 = 19;
    let bound = SockRef::from(socket).bind_device(Some(interface.as_bytes()));
    bound.map_err(|error| {
        let why = match error.raw_os_error() {
            Some(ENODEV) => "no such network interface",
            _ if error.kind() == io::ErrorKind::PermissionDenied => {
                "this process may not bind to an interface (CAP_NET_RAW is wanted)"
            }
            _ => return error,
        };
        io::Error::new(error.kind(), Refused(format!("tcp.interface = {interface}: {why}")))
    })
}

#[cfg(not(target_os = "linux"))]
fn bind_to(_: &TcpSocket, interface: &str) -> io::Result<()> {
    let words = format!("tcp.interface = {interface}: connections can be bound to an interface on Linux only");
    Err(io::Error::new(io::ErrorKind::Unsupported, Refused(words)))
}

/// Sets `tcp.*` on a connected socket.
fn apply(stream: &TcpStream, options: &Tcp) -> io::Result<()> {
    stream.set_nodelay(options.nodelay)?;
    // Not before: the kernel would give the connect itself up after this time, and that has a bound of its own.
    #[cfg(target_os = "linux")]
    SockRef::from(stream).set_tcp_user_timeout(options.user_timeout)?;
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
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(15)));
    }

    #[test]
    fn a_local_address_leaves_the_other_family_out() {
        let addresses = |list: &[&str]| -> Vec<SocketAddr> { list.iter().map(|one| one.parse().unwrap()).collect() };
        let options = Tcp {
            local_address: Some("192.0.2.7".parse().unwrap()),
            ..Tcp::default()
        };
        let both = addresses(&["[2001:db8::1]:80", "192.0.2.1:80"]);
        assert_eq!(reachable(both.clone(), &options), Ok(addresses(&["192.0.2.1:80"])));
        assert_eq!(reachable(both.clone(), &Tcp::default()), Ok(both));
        let why = reachable(addresses(&["[2001:db8::1]:80"]), &options).unwrap_err();
        assert!(why.contains("tcp.local_address = 192.0.2.7"), "{why}");
    }

    #[tokio::test]
    async fn none_sends_no_probes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = Tcp {
            keepalive: None,
            nodelay: false,
            user_timeout: None,
            ..Tcp::default()
        };
        let stream = dial(listener.local_addr().unwrap(), options).await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(!socket.keepalive().unwrap() && !socket.tcp_nodelay().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), None);
    }
}
