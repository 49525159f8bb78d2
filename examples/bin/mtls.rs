//! Calls a peer by a client certificate: `cargo run --bin mtls -- --base-url https://… --cert-file … --key-file … /v1/status`.
//!
//! Without a base URL it starts a peer with an authority of its own, and renews our certificate while calls are under way.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use httputil::PooledClient as _;
use httputil_tests::ca::Ca;
use services::command::{Configuration, Failure, exit, show_warnings};
use services::mtls::{MtlsClient, MtlsError};
use services::peers::{MtlsManner, MtlsPeer, TlsFiles};
use url::Url;

/// Calls a peer that asks for a client certificate.
///
/// Certificates are followed: with --calls and --every it can be seen how they are renewed.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    configuration: Configuration,
    /// The peer; without it, and without `mtls.base_url`, one is started
    #[arg(long, value_name = "URL")]
    base_url: Option<Url>,
    /// Our certificate, its intermediates behind it
    #[arg(long, value_name = "FILE", requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,
    /// The authority of the peer, if it is none that everybody trusts
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// A list of certificates that were called back; may be given more than once
    #[arg(long, value_name = "FILE")]
    crl_file: Vec<PathBuf>,
    /// The name in the peer's certificate, if it is not the URL's
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// How often to call
    #[arg(long, default_value_t = 1)]
    calls: u32,
    /// So long after one another
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1000)]
    every: u64,
    /// What to get
    #[arg(default_value = "/")]
    path: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    show_warnings();
    exit(run(&Flags::parse()).await)
}

async fn run(flags: &Flags) -> Result<(), Failure> {
    let told = flags.base_url.is_some() || flags.configuration.says("mtls", "base_url")?.is_some();
    let files = [&flags.cert_file, &flags.ca_file, &flags.crl_file.first().cloned()];
    if told {
        call(flags).await
    } else if files.iter().any(|file| file.is_some()) || flags.server_name.is_some() {
        Err("which peer? set --base-url, or mtls.base_url".into())
    } else {
        show(flags).await
    }
}

async fn call(flags: &Flags) -> Result<(), Failure> {
    let mut own = Vec::new();
    own.extend(
        flags
            .base_url
            .as_ref()
            .map(|url| ("mtls.base_url".to_owned(), url.to_string())),
    );
    for (key, file) in [
        ("cert_file", &flags.cert_file),
        ("key_file", &flags.key_file),
        ("ca_file", &flags.ca_file),
    ] {
        if let Some(file) = file {
            own.push((format!("mtls.tls.{key}"), absolute(file)?));
        }
    }
    if !flags.crl_file.is_empty() {
        let files: Result<Vec<String>, Failure> = flags.crl_file.iter().map(|file| absolute(file)).collect();
        own.push(("mtls.tls.crl_files".to_owned(), serde_json::to_string(&files?)?));
    }
    if let Some(name) = &flags.server_name {
        own.push(("mtls.tls.server_name".to_owned(), name.clone()));
    }
    let registry = flags.configuration.registry(own)?;
    let client = MtlsClient::with_registry(&registry)?;
    for number in 0..flags.calls.max(1) {
        if number > 0 {
            tokio::time::sleep(Duration::from_millis(flags.every)).await;
        }
        let answer = client.get(&flags.path).await?;
        println!("{}: {} bytes", answer.status, answer.body.len());
        if flags.calls == 1 {
            println!("{}", String::from_utf8_lossy(&answer.body));
        }
    }
    let pool = client.client().stats();
    println!("{} requests over {} connections", pool.requests, pool.dialled);
    Ok(())
}

/// A path in the configuration is relative to its file; one of the command line is so to where we are.
fn absolute(file: &Path) -> Result<String, Failure> {
    let path = std::path::absolute(file)?;
    let path = path.to_str().ok_or("a file's path has to be UTF-8")?;
    Ok(path.to_owned())
}

async fn show(flags: &Flags) -> Result<(), Failure> {
    let peer = MtlsPeer::start(MtlsManner::default()).await;
    let folder = tempfile::tempdir()?;
    let files = TlsFiles::within(folder.path());
    files.write("ca.pem", peer.authority())?;
    files.write_identity(&peer.issue("storage, until today"))?;
    println!("No base URL is given; started a peer at {}.", peer.url());

    let own = [("mtls.base_url".to_owned(), peer.url())];
    let registry = flags.configuration.registry(own.into_iter().chain(files.settings()))?;
    let client = MtlsClient::with_registry(&registry)?;
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (client, path) = (client.clone(), flags.path.clone());
            tokio::spawn(async move {
                let mut calls = 0;
                loop {
                    let answer = client.get(&path).await?;
                    calls += 1;
                    if String::from_utf8_lossy(&answer.body).contains("from today") {
                        return Ok::<u64, MtlsError>(calls);
                    }
                }
            })
        })
        .collect();
    peer.server.until_requests(100).await;
    files.write_identity(&peer.issue("storage, from today"))?;
    let mut calls = 0;
    for caller in callers {
        calls += caller.await??;
    }
    println!("{calls} calls while the certificate was renewed, and none failed");
    client.shutdown(Duration::from_secs(5)).await;

    files.write_identity(&Ca::new().issue_client("a stranger"))?;
    let own = [("mtls.base_url".to_owned(), peer.url())];
    let registry = flags.configuration.registry(own.into_iter().chain(files.settings()))?;
    match MtlsClient::with_registry(&registry)?.get(&flags.path).await {
        Err(error @ MtlsError::RefusedUs(_)) => println!("with one of another authority: {error}"),
        other => return Err(format!("a certificate of another authority: {other:?}").into()),
    }
    println!(
        "{} requests over {} connections",
        client.client().stats().requests,
        client.client().stats().dialled
    );
    Ok(())
}
