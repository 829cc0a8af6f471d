//! Pushes to a registry that answers as a test tells it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;

use super::*;
use crate::cluster::image::Program;
use crate::cluster::image::tests::{executable, program_of};
use crate::error::{Error, ErrorKind};
use crate::progress::Silent;

/// What was asked: method and path, and the credentials shown.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    line: String,
    authorization: Option<String>,
}

/// A registry on loopback. It is as long as the process is.
struct Fake {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// Status, and further lines of the head.
type Answer = (u16, String);

/// Instead of a status: no answer.
const HANG_UP: u16 = 0;

impl Fake {
    fn new(host: &str, answer: impl Fn(&Asked, usize) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that goes away early is one of the cases.
                let _ = serve(stream.unwrap(), &log, &answer);
            }
        });
        Self { address, asked }
    }

    fn lines(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|asked| asked.line.clone()).collect()
    }

    fn count(&self, method: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(method)).count()
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked, usize) -> Answer) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    // As servers answer a handshake of TLS that they did not expect.
    if reader.fill_buf()?.first() == Some(&0x16) {
        return reader.get_mut().write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
    }
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut asked = Asked { line: line.trim().trim_end_matches(" HTTP/1.1").to_owned(), authorization: None };
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        let Some((name, value)) = header.trim().split_once(": ") else { continue };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => asked.authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink())?;
    let (status, lines) = {
        let mut log = log.lock().unwrap();
        let earlier = log.iter().filter(|other| other.line == asked.line).count();
        log.push(asked.clone());
        answer(&asked, earlier)
    };
    if status == HANG_UP {
        return Ok(());
    }
    write!(reader.get_mut(), "HTTP/1.1 {status} Answer\r\nConnection: close\r\nContent-Length: 0\r\n{lines}\r\n")
}

/// What an empty registry answers.
fn empty(asked: &Asked) -> Answer {
    match asked.line.split(' ').next().unwrap() {
        "GET" => (200, String::new()),
        "HEAD" => (404, String::new()),
        "POST" => (202, "Location: /upload\r\n".to_owned()),
        "PUT" => (201, "Location: /there\r\n".to_owned()),
        other => panic!("{other}"),
    }
}

fn push(address: &str, credentials: &Credentials) -> Result<Pushed, Error> {
    let program: Program = program_of(&executable(62)).unwrap();
    let image = Image::new("localhost/x:1", "/x", &program).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let progress: Arc<dyn Progress> = Arc::new(Silent);
    runtime.block_on(image.push(&format!("{address}/team/x:1"), credentials, &progress))
}

#[test]
fn blobs_go_first_and_the_tag_last() {
    let fake = Fake::new("127.0.0.1", |asked, _| empty(asked));
    let pushed = push(&fake.address, &Credentials::anonymous()).unwrap();
    assert_eq!(pushed.name, format!("{}/team/x:1", fake.address));
    let lines = fake.lines();
    let lines: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.starts_with("GET")).collect();
    assert_eq!(lines.len(), 7, "{lines:#?}");
    for of_a_blob in lines[..6].chunks(3) {
        assert!(of_a_blob[0].starts_with("HEAD /v2/team/x/blobs/sha256:"), "{lines:#?}");
        assert!(of_a_blob[1].starts_with("POST /v2/team/x/blobs/uploads"), "{lines:#?}");
        assert!(of_a_blob[2].starts_with("PUT /upload?digest=sha256"), "{lines:#?}");
    }
    assert_eq!(lines[6], "PUT /v2/team/x/manifests/1");
}

#[test]
fn what_is_there_is_not_sent_again() {
    let fake = Fake::new("127.0.0.1", |asked, _| match empty(asked) {
        (404, lines) => (200, lines),
        other => other,
    });
    assert_eq!(push(&fake.address, &Credentials::anonymous()).unwrap().sent, 0);
    assert_eq!((fake.count("POST"), fake.count("PUT")), (0, 1));
}

#[test]
fn a_failure_that_passes_is_met_by_patience() {
    // Each request fails at first, by an answer or by none.
    let fake = Fake::new("127.0.0.1", |asked, earlier| match (earlier, asked.line.starts_with("HEAD")) {
        (0, true) => (HANG_UP, String::new()),
        (0, false) => (503, String::new()),
        _ => empty(asked),
    });
    push(&fake.address, &Credentials::anonymous()).unwrap();
    for status in [503, HANG_UP] {
        let broken = Fake::new("127.0.0.1", move |asked, _| match asked.line.starts_with("GET") {
            true => empty(asked),
            false => (status, String::new()),
        });
        let error = push(&broken.address, &Credentials::anonymous()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert_eq!(broken.count("HEAD"), 4);
    }
}

#[test]
fn a_registry_that_wants_a_password_is_given_it() {
    let known = "Basic dXNlcjpzZWNyZXQ=";
    let fake = Fake::new("127.0.0.1", move |asked, _| match asked.authorization.as_deref() {
        Some(shown) if shown == known => empty(asked),
        _ => (401, "WWW-Authenticate: Basic realm=\"x\"\r\n".to_owned()),
    });
    push(&fake.address, &Credentials::password("user", "secret")).unwrap();
    for wrong in [Credentials::anonymous(), Credentials::password("user", "wrong-secret")] {
        let error = push(&fake.address, &wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
        assert!(error.hint().unwrap().contains(&format!("docker login {}", fake.address)), "{error:?}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

#[test]
fn what_is_no_registry_is_said_to_be_none() {
    let fake = Fake::new("127.0.0.1", |_, _| (404, String::new()));
    let error = push(&fake.address, &Credentials::anonymous()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    let fake = Fake::new("127.0.0.1", |asked, _| match empty(asked) {
        (202, _) => (200, String::new()),
        other => other,
    });
    let error = push(&fake.address, &Credentials::anonymous()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
}

#[test]
fn a_registry_may_keep_to_itself_where_a_blob_is() {
    let fake = Fake::new("127.0.0.1", |asked, earlier| match empty(asked) {
        (201, _) if asked.line.contains("/upload") => (201, String::new()),
        (404, lines) if earlier > 0 => (200, lines),
        other => other,
    });
    assert!(push(&fake.address, &Credentials::anonymous()).unwrap().sent > 0);
    assert_eq!(fake.count("POST"), 2);
}

/// Another address of loopback than those that plain HTTP is for.
#[cfg(target_os = "linux")]
#[test]
fn plain_http_is_not_spoken_to_others() {
    let fake = Fake::new("127.0.0.2", |_, _| (400, String::new()));
    let error = push(&fake.address, &Credentials::password("user", "secret")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    assert!(error.to_string().contains("does not speak TLS"), "{error:?}");
    assert!(error.hint().unwrap().contains("localhost"), "{error:?}");
    assert!(fake.asked.lock().unwrap().iter().all(|asked| asked.authorization.is_none()));
}

#[test]
fn where_nobody_listens_the_push_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = push(&address, &Credentials::anonymous()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains(&format!("`{address}` does not answer")), "{error:?}");
}
