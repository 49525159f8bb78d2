//! Bytes of servers that are too old for rustls to play, for [`script`](crate::script) to write after it has read
//! something of the client's greeting.

/// The `ServerHello` of a server that knows nothing newer than this version: `0x0301` is TLS 1.0, `0x0302` TLS 1.1.
#[must_use]
pub fn server_hello(version: u16) -> Vec<u8> {
    const CIPHER: [u8; 2] = [0xc0, 0x13]; // TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA
    const REST_OF_HELLO: usize = 32 + 1 + 2 + 1; // random, empty session id, cipher, no compression
    let version = version.to_be_bytes();
    let hello = u8::try_from(version.len() + REST_OF_HELLO).expect("38 bytes");
    let mut bytes = vec![22];
    bytes.extend(version);
    bytes.extend([0, hello + 4, 2, 0, 0, hello]);
    bytes.extend(version);
    bytes.extend([7; 32]);
    bytes.push(0);
    bytes.extend(CIPHER);
    bytes.push(0);
    bytes
}

/// The fatal alert `protocol_version`: the server likes none of the client's versions.
#[must_use]
pub fn refusal() -> Vec<u8> {
    vec![21, 3, 1, 0, 2, 2, 70]
}
