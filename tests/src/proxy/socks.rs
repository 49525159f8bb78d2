//! The proxy over SOCKS5 (RFC 1928), with user and password (RFC 1929).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};

use super::{Asked, Office};
use crate::server::Observed;

pub(super) async fn serve(mut stream: Observed, number: usize, office: &Office) -> io::Result<()> {
    let stream = &mut stream;
    let methods = {
        let _version = stream.read_u8().await?;
        text(stream).await?
    };
    let mut headers = Vec::new();
    match &office.builder.login {
        None => stream.write_all(&[5, 0]).await?,
        Some(_) if !methods.contains(&2) => return stream.write_all(&[5, 0xff]).await,
        Some((user, password)) => {
            stream.write_all(&[5, 2]).await?;
            let _version = stream.read_u8().await?;
            let (given, word) = (text(stream).await?, text(stream).await?);
            let fits = given == user.as_bytes() && word == password.as_bytes();
            stream.write_all(&[1, u8::from(!fits)]).await?;
            if !fits {
                return Ok(());
            }
            let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            headers = vec![("user".to_owned(), said(&given)), ("password".to_owned(), said(&word))];
        }
    }
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let host = match head[3] {
        1 => Ipv4Addr::from(stream.read_u32().await?).to_string(),
        3 => String::from_utf8_lossy(&text(stream).await?).into_owned(),
        _ => format!("[{}]", Ipv6Addr::from(stream.read_u128().await?)),
    };
    let port = stream.read_u16().await?;
    office.note(Asked {
        connection: number,
        what: format!("SOCKS5 {host}:{port}"),
        headers,
    });
    match office.reach(port).await {
        Ok(mut far) => {
            stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).await?;
            copy_bidirectional(stream, &mut far).await.map(drop)
        }
        Err(_) => stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await,
    }
}

/// Bytes behind their length.
async fn text(stream: &mut Observed) -> io::Result<Vec<u8>> {
    let mut text = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut text).await?;
    Ok(text)
}
