//! A server on 127.0.0.1 that says always the same, for what a client sends and to whom.
#![allow(dead_code)] // each test program uses a part of this

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// A server that answers every request with the same words, and keeps what it was asked.
pub struct Listener {
    /// Where it listens.
    pub url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    /// `answer`: all that is sent back.
    fn start(answer: String) -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let (mut text, mut length) = (String::new(), 0);
                while stream.read_line(&mut text).is_ok_and(|read| read > 2) {
                    let line = text.lines().last().unwrap().to_ascii_lowercase();
                    length = line.strip_prefix("content-length:").map_or(length, |number| number.trim().parse().unwrap());
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                kept.lock().unwrap().push(format!("{text}{}", String::from_utf8_lossy(&body)));
                // The client may be gone.
                let _ = stream.get_mut().write_all(answer.as_bytes());
            }
        });
        Listener { url, heard }
    }

    /// One that answers with a status and a body of JSON.
    pub fn answering(status: &str, body: &str) -> Listener {
        Listener::start(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()))
    }

    /// One that sends its callers elsewhere.
    pub fn sending_to(other: &str) -> Listener {
        Listener::start(format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {other}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
    }

    /// The requests, each with its body.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}
