//! HTTP clients for calls that leave this process, and what may be told of their failures.

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Url, redirect};
use rustls::crypto::{CryptoProvider, ring};

/// A client for calls to `url`. Redirects are not followed: they would carry credentials elsewhere.
pub(super) fn client(url: &Url, connect_timeout: Duration) -> Result<Client, String> {
    make(|client| {
        let client = client.connect_timeout(connect_timeout);
        if is_loopback(url) { client.no_proxy() } else { client }
    })
}

/// A client with these options, which follows no redirects.
pub(super) fn make(options: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Client, String> {
    if CryptoProvider::get_default().is_none() {
        // Losing a race to another installer is as good.
        drop(ring::default_provider().install_default());
    }
    options(Client::builder().redirect(redirect::Policy::none()))
        .build()
        .map_err(|error| format!("no HTTP client can be made: {}", told(&error)))
}

/// The reason at the bottom of an error, without the address, which may hold a secret.
pub(super) fn told(error: &reqwest::Error) -> String {
    let mut message = String::new();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        message.clear();
        write!(message, "{deeper}").expect("strings take every write");
        cause = deeper.source();
    }
    if message.is_empty() { "no reason given".to_owned() } else { message }
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}
