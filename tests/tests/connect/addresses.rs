//! More addresses of loopback: one name has several, all with the URL's port, so a black hole must be had on any of them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use httputil_tests::resolver::Answer;
use socket2::{Domain, Protocol, Socket, Type};

/// An address that never answers a SYN, on a port that somebody else listens on at another address.
///
/// As the kit's own: the one place in the listener's queue is taken.
pub(crate) struct Swallow {
    _place: TcpStream,
    _listener: Socket,
}

impl Swallow {
    pub(crate) fn on(ip: IpAddr, port: u16) -> Swallow {
        let address = SocketAddr::new(ip, port);
        let listener = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
            .expect("the machine has this family");
        listener.bind(&address.into()).expect("nobody has this address's port");
        listener.listen(0).expect("a bound socket can listen");
        let place = TcpStream::connect(address).expect("the queue's first place is free");
        Swallow {
            _place: place,
            _listener: listener,
        }
    }
}

/// `127.0.0.n`.
pub(crate) fn loopback(n: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, n])
}

/// A name's answer: these addresses, in this order.
pub(crate) fn answer(addresses: impl IntoIterator<Item = IpAddr>) -> Answer {
    Answer::Addresses(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect())
}

/// Whether loopback has `::1` too.
pub(crate) fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}
