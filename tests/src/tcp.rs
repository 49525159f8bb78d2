//! Addresses on loopback where no server answers.
//!
//! Both need no privilege and no network: a port that is bound and not listened on refuses; a listener whose queue is
//! full swallows. The port is held as long as the value lives, so no parallel test can start to answer on it.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// A port of loopback that this value owns: connecting is refused until somebody [`listen`](Self::listen)s.
///
/// The kernel gives no ephemeral port and no `bind(0)` that is explicitly bound, so a server can go away and come back
/// without losing its port to another test.
#[derive(Debug)]
pub struct ClosedPort {
    socket: Socket,
    address: SocketAddr,
}

impl ClosedPort {
    /// Takes a free port.
    ///
    /// # Panics
    ///
    /// When the machine has none left.
    #[must_use]
    pub fn new() -> Self {
        Self::on(Ipv4Addr::LOCALHOST, 0)
    }

    /// This port of another address of loopback, such as `127.0.0.2`, for names that lead to several servers.
    ///
    /// # Panics
    ///
    /// When somebody has the port.
    #[must_use]
    pub fn on(ip: Ipv4Addr, port: u16) -> Self {
        let socket = bound(ip, port).expect("loopback has the port free");
        let address = local(&socket);
        Self { socket, address }
    }

    /// Where connecting is refused.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Its number.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// A listener on the port; one at a time. The port goes back to refusing when it is dropped, at once after [`deafen`].
    pub fn listen(&self) -> io::Result<TcpListener> {
        // A socket of its own: one that has listened can't stop without being closed.
        let address = local(&self.socket);
        let SocketAddr::V4(address) = address else {
            unreachable!("it was bound to an IPv4 address")
        };
        let socket = bound(*address.ip(), address.port())?;
        socket.listen(1024)?;
        Ok(socket.into())
    }
}

impl Default for ClosedPort {
    fn default() -> Self {
        Self::new()
    }
}

/// Stops listening at once: who connects from now on is refused, and so is who has not been accepted yet. The port stays
/// taken as long as the listener lives.
///
/// To drop a listener is not enough where another test starts a process: until that runs its program, it holds a copy of
/// every descriptor, and its copy of the listener takes connections on (seen: 5 of 1000 beside a loop of `true`). Linux
/// only: elsewhere a listener cannot be shut down, and its drop has to do.
pub fn deafen<'s>(listener: impl Into<SockRef<'s>>) {
    // It fails where it is not known.
    let _ = listener.into().shutdown(Shutdown::Both);
}

/// An address that never answers a SYN, as a host behind a dropping firewall does not.
///
/// The listener's queue holds one connection (a backlog of 0 means one on Linux); that place is taken by a connection of
/// our own that nobody accepts. Linux drops every further SYN, and its repetitions, until the queue has room. Linux
/// only: other systems answer with RST or round the backlog up.
#[derive(Debug)]
pub struct BlackHole {
    address: SocketAddr,
    // In this order: the listener last, so that nobody is refused while the place is still taken.
    _place: std::net::TcpStream,
    _listener: Socket,
}

impl BlackHole {
    /// Opens one.
    ///
    /// # Panics
    ///
    /// When the machine has no free port left.
    #[must_use]
    pub fn new() -> Self {
        let listener = bound(Ipv4Addr::LOCALHOST, 0).expect("loopback has a free port");
        listener.listen(0).expect("a bound socket can listen");
        let address = local(&listener);
        let place = std::net::TcpStream::connect(address).expect("the queue's first place is free");
        Self {
            address,
            _place: place,
            _listener: listener,
        }
    }

    /// Where nothing ever answers.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Default for BlackHole {
    fn default() -> Self {
        Self::new()
    }
}

fn bound(ip: Ipv4Addr, port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    // So that old connections in TIME_WAIT, and the holder of the port, leave room for a listener.
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddrV4::new(ip, port).into())?;
    Ok(socket)
}

fn local(socket: &Socket) -> SocketAddr {
    socket
        .local_addr()
        .ok()
        .and_then(|address| address.as_socket())
        .expect("the socket is bound to an IPv4 address")
}
