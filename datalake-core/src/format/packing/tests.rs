//! Texts as they are found: in other encodings, compressed, in archives; whole, cut and damaged.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;

use super::*;
use crate::error::{Error, ErrorKind};
use crate::format::{Converted, OnRowError, Reject, Rejects, Sink, Source, WriteOptions, convert, detect};

/// A folder in which each test has files of its own.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

async fn read(path: &Path, options: ReadOptions) -> Result<RecordBatch> {
    let source = Source::LocalFile(path.into());
    let (format, _) = detect(&source, &options).await?;
    let mut batches = format.read(source, options).await?;
    let mut all = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        all.push(batch);
    }
    Ok(concat_batches(batches.schema(), &all).unwrap())
}

async fn error(path: &Path, options: ReadOptions) -> Error {
    read(path, options).await.unwrap_err()
}

async fn converted(from: &Path, to: &Path, write: WriteOptions) -> Result<Converted> {
    convert(Source::LocalFile(from.into()), Sink::LocalFile(to.into()), ReadOptions::default(), write).await
}

fn texts(table: &RecordBatch, column: usize) -> Vec<&str> {
    table.column(column).as_string::<i32>().iter().map(Option::unwrap).collect()
}

fn utf16(text: &str, is_little: bool) -> Vec<u8> {
    let bytes = |unit: u16| if is_little { unit.to_le_bytes() } else { unit.to_be_bytes() };
    text.encode_utf16().flat_map(bytes).collect()
}

fn in_encoding(label: &str) -> ReadOptions {
    ReadOptions::default().with_encoding(Some(label.to_owned()))
}

/// Remembers what is rejected.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<Reject>>);

impl Rejects for Seen {
    fn reject(&self, reject: Reject) -> Result<()> {
        self.0.lock().unwrap().push(reject);
        Ok(())
    }
}

/// A file of an archive: its name, method and flags, and its bytes as they are stored and unpacked.
struct Stored {
    name: &'static str,
    method: u16,
    flags: u16,
    packed: Vec<u8>,
    plain: Vec<u8>,
    /// How many bytes follow its name.
    extra: usize,
}

fn stored(name: &'static str, text: &str) -> Stored {
    Stored { name, method: 0, flags: 0, packed: text.into(), plain: text.into(), extra: 0 }
}

fn deflated(name: &'static str, text: &str) -> Stored {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    Stored { method: 8, packed: encoder.finish().unwrap(), ..stored(name, text) }
}

/// An archive, by the letter of its specification.
fn zip(members: &[Stored]) -> Vec<u8> {
    let (mut bytes, mut list) = (Vec::new(), Vec::new());
    for member in members {
        let mut crc = flate2::Crc::new();
        crc.update(&member.plain);
        let mut common = Vec::new();
        common.extend([20_u16, member.flags, member.method, 0, 0x21].iter().flat_map(|word| word.to_le_bytes()));
        let sizes = [crc.sum(), member.packed.len() as u32, member.plain.len() as u32];
        common.extend(sizes.iter().flat_map(|word| word.to_le_bytes()));
        common.extend((member.name.len() as u16).to_le_bytes());
        common.extend([0; 2]);
        list.extend([&b"PK\x01\x02\x14\0"[..], &common, &[0; 10], &(bytes.len() as u32).to_le_bytes()].concat());
        list.extend(member.name.as_bytes());
        let extra = vec![0; member.extra];
        common.truncate(common.len() - 2);
        common.extend((extra.len() as u16).to_le_bytes());
        bytes.extend([&b"PK\x03\x04"[..], &common, member.name.as_bytes(), &extra, &member.packed].concat());
    }
    let (start, count) = (bytes.len() as u32, (members.len() as u16).to_le_bytes());
    bytes.extend(&list);
    bytes.extend([&b"PK\x05\x06\0\0\0\0"[..], &count, &count, &(list.len() as u32).to_le_bytes()].concat());
    bytes.extend([&start.to_le_bytes()[..], &[0; 2]].concat());
    bytes
}

#[tokio::test]
async fn utf16_is_read_as_utf8_would_be() {
    let folder = Folder::new();
    let text = "\u{feff}id,name\r\n1,\"\u{1f34e} a\nb\"\r\n2,\"ä,\u{20ac}\"\r\n3\r\n";
    let plain = folder.file("plain.csv", text.as_bytes());
    for (name, is_little) in [("le.csv", true), ("be.csv", false)] {
        let path = folder.file(name, &utf16(text, is_little));
        let rejects = |seen: &Arc<Seen>| {
            ReadOptions::default().with_on_row_error(OnRowError::Quarantine).with_rejects(Some(seen.clone()))
        };
        let (seen, known) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
        let table = read(&path, rejects(&seen)).await.unwrap();
        assert_eq!(texts(&table, 1), ["\u{1f34e} a\nb", "ä,\u{20ac}"]);
        assert_eq!(table.schema().field(0).name(), "id");
        assert_eq!(table, read(&plain, rejects(&known)).await.unwrap());
        let place = |seen: &Seen| seen.0.lock().unwrap().iter().map(|r| (r.row, r.line, r.byte)).collect::<Vec<_>>();
        assert_eq!(place(&seen), place(&known));
        let (found, _) = detect(&Source::LocalFile(folder.file("x", &utf16(text, is_little))), &ReadOptions::default())
            .await
            .unwrap();
        assert_eq!(found.name(), "csv");
    }
    let json = "\u{feff}{\"id\":1,\"name\":\"\u{1f34e}\"}\n{\"id\":2,\"name\":\"ä\"}\n";
    for name in ["a.ndjson", "a.json"] {
        let table = read(&folder.file(name, &utf16(json, false)), ReadOptions::default()).await.unwrap();
        assert_eq!(texts(&table, 1), ["\u{1f34e}", "ä"]);
    }
    let unpaired = folder.file("unpaired.csv", &[utf16("\u{feff}a\n1\n", true), vec![0, 0xd8, b'\n', 0]].concat());
    let error = error(&unpaired, ReadOptions::default()).await;
    assert_eq!(error.position().unwrap().byte, Some(10));
    assert!(error.reason().unwrap().contains("UTF-16LE"), "{error}");
}

#[tokio::test]
async fn other_encodings_are_told_and_read_when_asked_for() {
    let folder = Folder::new();
    let path = folder.file("latin.csv", b"id,name\n1,tea\n2,caf\xe9 \x80\n");
    let error = error(&path, ReadOptions::default()).await;
    let position = error.position().unwrap();
    assert_eq!((position.row, position.line, position.byte), (Some(2), Some(3), Some(14)));
    assert_eq!(position.column.as_deref(), Some("name"));
    assert!(error.reason().unwrap().contains("caf\\xE9"), "{error}");
    assert!(
        error.hint().unwrap().contains("`encoding = \"windows-1252\"`") && error.hint().unwrap().contains("iso-8859-1")
    );
    for label in ["windows-1252", "latin1", "ISO-8859-1"] {
        let table = read(&path, in_encoding(label)).await.unwrap();
        assert_eq!(texts(&table, 1), ["tea", "café \u{20ac}"]);
    }
    let header = folder.file("header.csv", b"\nid,caf\xe9\n1,2\n");
    let error = read(&header, ReadOptions::default()).await.unwrap_err();
    assert_eq!((error.position().unwrap().line, error.position().unwrap().byte), (Some(2), Some(1)));
    assert!(error.hint().unwrap().contains("`encoding = "));
    let json = folder.file("latin.ndjson", b"{\"a\":\"x\"}\n{\"a\":\"caf\xe9\"}\n");
    let error = read(&json, ReadOptions::default()).await.unwrap_err();
    assert_eq!((error.position().unwrap().row, error.position().unwrap().byte), (Some(2), Some(10)));
    assert!(error.hint().unwrap().contains("`encoding = "));
    assert_eq!(texts(&read(&json, in_encoding("latin1")).await.unwrap(), 0), ["x", "café"]);
    let unknown = read(&json, in_encoding("klingon")).await.unwrap_err();
    assert!(unknown.hint().unwrap().contains("windows-1252"));
}

#[tokio::test]
async fn a_mark_is_none_but_at_the_beginning() {
    let folder = Folder::new();
    let csv = "\u{feff}a,b\n\u{feff}x,y\n";
    let json = "\u{feff}[{\"a\":\"\u{feff}x\"}]";
    for (name, bytes) in [("a.csv", csv.as_bytes().to_vec()), ("b.csv", utf16(csv, true)), ("a.json", json.into())] {
        let table = read(&folder.file(name, &bytes), ReadOptions::default()).await.unwrap();
        assert_eq!(table.schema().field(0).name(), "a");
        assert_eq!(texts(&table, 0), ["\u{feff}x"]);
    }
}

#[tokio::test]
async fn every_compression_gives_the_table_back_and_a_cut_is_an_error() {
    let folder = Folder::new();
    let text = (0..3_000).fold("id,name\n".to_owned(), |text, row| text + &format!("{row},food {}\n", row % 7));
    let plain = folder.file("plain.csv", text.as_bytes());
    let known = converted(&plain, &folder.0.path().join("a.ndjson"), WriteOptions::default()).await.unwrap();
    for suffix in ["gz", "bz2", "xz", "zst", "sz", "lz4"] {
        let packed = folder.0.path().join(format!("a.csv.{suffix}"));
        let done = converted(&plain, &packed, WriteOptions::default()).await.unwrap();
        let back = converted(&packed, &folder.0.path().join("b.ndjson"), WriteOptions::default()).await.unwrap();
        assert_eq!(back.written, known.written, "{suffix}");
        assert_eq!(back.bytes_read, text.len() as u64);
        let bytes = std::fs::read(&packed).unwrap();
        assert_eq!(bytes.len() as u64, done.written.bytes, "{suffix}");
        assert!(bytes.len() < text.len() * 3 / 4, "{suffix}: {} of {}", bytes.len(), text.len());
        let cut = folder.file(&format!("cut.csv.{suffix}"), &bytes[..bytes.len() - 9]);
        let error = error(&cut, ReadOptions::default()).await;
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.reason().unwrap().contains(&format!("cut short after {} bytes", bytes.len() - 9)), "{error}");
        // By its first bytes, whatever its name.
        let nameless = folder.file("nameless", &bytes);
        assert_eq!(read(&nameless, ReadOptions::default()).await.unwrap().num_rows(), 3_000);
    }
}

#[tokio::test]
async fn parquet_has_its_own_compressions() {
    let folder = Folder::new();
    let plain = folder.file("plain.csv", b"id,name\n1,tea\n2,rice\n");
    let to = folder.0.path().join("a.parquet");
    let mut digests = Vec::new();
    for name in ["none", "gzip(9)", "zstd", "snappy", "lz4"] {
        let write = WriteOptions::default().with_compression_of_name(name).unwrap();
        converted(&plain, &to, write).await.unwrap();
        let back = converted(&to, &folder.0.path().join("b.csv"), WriteOptions::default()).await.unwrap();
        digests.push(back.written.digest);
    }
    digests.dedup();
    assert_eq!(digests.len(), 1);
    for name in ["bzip2", "xz"] {
        let write = WriteOptions::default().with_compression_of_name(name).unwrap();
        let error = converted(&plain, &to, write).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.reason().unwrap().contains(name) && error.hint().unwrap().contains("snappy"));
    }
    let packed = folder.file("b.parquet.gz", b"\x1f\x8b\x08");
    let error = error(&packed, ReadOptions::default()).await;
    assert_eq!(error.reason(), Some("a Parquet file within gzip cannot be read"));
}

#[tokio::test]
async fn an_archive_of_one_table_is_that_table() {
    let folder = Folder::new();
    let text = (0..100_000).fold("id,x\n".to_owned(), |text, row| text + &format!("{row},{}\n", row * 7 % 1000));
    let plain = folder.file("plain.csv", text.as_bytes());
    let known = converted(&plain, &folder.0.path().join("a.parquet"), WriteOptions::default()).await.unwrap();
    let others =
        [stored("__MACOSX/._a.csv", "?"), stored(".hidden", "?"), stored("data/", ""), stored("d/_x.csv", "?")];
    let pack = |member: Stored| zip(&others.iter().map(|o| stored(o.name, "?")).chain([member]).collect::<Vec<_>>());
    for (name, member) in [
        ("a.csv.zip", stored("a.csv", &text)),
        ("b.zip", deflated("data/a.csv", &text)),
        (
            "c.zip",
            Stored { method: 93, packed: zstd::encode_all(text.as_bytes(), 1).unwrap(), ..stored("a.csv", &text) },
        ),
    ] {
        let path = folder.file(name, &pack(member));
        let done = converted(&path, &folder.0.path().join("b.parquet"), WriteOptions::default()).await.unwrap();
        assert_eq!(done.written, known.written, "{name}");
        assert_eq!(done.bytes_read, text.len() as u64);
    }
    // Content tells the format, too, and the suffix of the member the delimiter.
    for (member, text) in [("data", "a,b\n1,2\n"), ("data.tsv", "a\tb,c\n1\t2\n"), ("data.json", "[{\"a\":1,\"b\":2}]")]
    {
        let path = folder.file("d.zip", &zip(&[stored(member, text)]));
        let table = read(&path, ReadOptions::default()).await.unwrap();
        assert_eq!((table.num_rows(), table.num_columns()), (1, 2), "{member}");
    }
}

#[tokio::test]
async fn members_of_one_format_are_one_table() {
    let folder = Folder::new();
    let members = [
        deflated("a.csv", "id,name\r\n1,x"),
        stored("empty.csv", ""),
        stored("b.csv", "\u{feff}\"id\",name\n2,\"y\nz\"\n"),
        deflated("c.csv", "id,name\r\n"),
        stored("d.csv", "\nid,\"name\"\r\n3,w\r\n"),
    ];
    let path = folder.file("a.zip", &zip(&members));
    for options in [ReadOptions::default(), in_encoding("utf-8")] {
        let table = read(&path, options).await.unwrap();
        assert_eq!(texts(&table, 1), ["x", "y\nz", "w"]);
    }
    let table = read(&path, ReadOptions::default().with_member(Some("b.csv".to_owned()))).await.unwrap();
    assert_eq!(texts(&table, 1), ["y\nz"]);
    let lines = [stored("a.ndjson", "{\"a\":1}"), deflated("b.ndjson", "\u{feff}{\"a\":2}\n")];
    let table = read(&folder.file("b.zip", &zip(&lines)), ReadOptions::default()).await.unwrap();
    assert_eq!(table.num_rows(), 2);
    // What is said counts, whatever the names say.
    let misnamed = [stored("a.json", "{\"a\":1}\n"), stored("b.json", "{\"a\":2}\n")];
    let options = ReadOptions::default().with_format(Some("ndjson".to_owned()));
    assert_eq!(read(&folder.file("b.zip", &zip(&misnamed)), options).await.unwrap().num_rows(), 2);
    let numbers = [stored("a.csv", "1,2\n"), stored("b.csv", "3,4")];
    let options = ReadOptions::default().with_header(false);
    assert_eq!(read(&folder.file("c.zip", &zip(&numbers)), options).await.unwrap().num_rows(), 2);
}

#[tokio::test]
async fn a_quote_that_is_open_at_the_end_of_a_member_takes_nothing_of_the_next() {
    let folder = Folder::new();
    let members = [stored("a.csv", "id,x\n1,\"open"), stored("b.csv", "id,x\n2,b\n3,\"\n4,d\n")];
    let seen = Arc::new(Seen::default());
    let options = ReadOptions::default().with_on_row_error(OnRowError::Quarantine).with_rejects(Some(seen.clone()));
    let table = read(&folder.file("a.zip", &zip(&members)), options).await.unwrap();
    assert_eq!(texts(&table, 1), ["b", "d"]);
    let raw: Vec<_> = seen.0.lock().unwrap().iter().map(|reject| reject.raw.clone()).collect();
    assert_eq!(raw, ["1,\"open", "3,\""]);
}

#[tokio::test]
async fn a_line_of_a_member_that_says_the_delimiter_is_no_row() {
    let folder = Folder::new();
    let table = async |members: &[&'static str], options: ReadOptions| {
        let members: Vec<_> =
            members.iter().enumerate().map(|(at, text)| stored(["1.csv", "2.csv"][at], text)).collect();
        read(&folder.file("a.zip", &zip(&members)), options.with_text(true)).await.unwrap()
    };
    let plain = || ReadOptions::default();
    for members in [
        ["sep=;\r\na;b\r\n1;x\r\n", "sep=;\r\na;b\r\n3;z\r\n"],
        ["sep=;\na;b\n1;x\n", "a;b\n3;z\n"],
        ["a;b\n1;x\n", "\u{feff}sep=;\na;b\n3;z"],
    ] {
        let table = table(&members, plain()).await;
        assert_eq!((texts(&table, 0), texts(&table, 1)), (vec!["1", "3"], vec!["x", "z"]), "{members:?}");
    }
    for members in [["1;x\n", "sep=;\n3;z\n"], ["sep=;\n1;x\n", "3;z\n"], ["sep=;\n1;x", "sep=;\r3;z"]] {
        let table = table(&members, plain().with_header(false)).await;
        assert_eq!((texts(&table, 0), texts(&table, 1)), (vec!["1", "3"], vec!["x", "z"]), "{members:?}");
    }
    // A line that ends nowhere, shorter than one that says it, is a row.
    assert_eq!(texts(&table(&["a\n1\n", "a\nsep"], plain()).await, 0), ["1", "sep"]);
    assert_eq!(texts(&table(&["1\n", "sep"], plain().with_header(false)).await, 0), ["1", "sep"]);
}

#[tokio::test]
async fn headers_of_members_may_be_long() {
    let folder = Folder::new();
    for extra in [0, 255, 256, 257, 65_535] {
        let members = ["1", "2"].map(|row| Stored { extra, ..stored("a.csv", &format!("id\n{row}\n")) });
        let [first, second] = members;
        let path = folder.file("a.zip", &zip(&[first, Stored { name: "b.csv", ..second }]));
        let table = read(&path, ReadOptions::default()).await.unwrap();
        assert_eq!(table.column(0).as_primitive::<Int64Type>().values(), &[1, 2], "{extra}");
    }
}

#[tokio::test]
async fn what_cannot_be_one_table_is_told_with_the_members() {
    let folder = Folder::new();
    let read = |members: &[Stored], options: ReadOptions| {
        let path = folder.file("a.zip", &zip(members));
        async move { error(&path, options).await }
    };
    let other = read(&[stored("a.csv", "id,x\n1,2\n"), stored("b.csv", "x,id\n3,4\n")], ReadOptions::default()).await;
    assert!(other.subject().contains("`b.csv`") && other.reason().unwrap().contains("`x,id`"), "{other}");
    for (a, b) in [("a.csv", "readme.txt"), ("a.json", "b.json"), ("a", "b"), ("xl/workbook.xml", "[Content].xml")] {
        let error = read(&[stored(a, "[]"), stored(b, "[]")], ReadOptions::default()).await;
        let hint = error.hint().unwrap();
        assert!(hint.contains("`member = ") && hint.contains(a) && hint.contains(b), "{error}");
    }
    let alike = read(&[stored("a.csv", "a\n1\n"), stored("a.csv", "a\n2\n")], ReadOptions::default()).await;
    assert!(alike.reason().unwrap().contains("the same name"), "{alike}");
    let missing = read(&[stored("a.csv", "a\n1\n")], ReadOptions::default().with_member(Some("b".to_owned()))).await;
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.hint().unwrap().contains("`a.csv`"));
    let encrypted = read(&[Stored { flags: 1, ..stored("a.csv", "a\n1\n") }], ReadOptions::default()).await;
    assert!(encrypted.reason().unwrap().contains("encrypted"));
    let odd = read(&[Stored { method: 9, ..stored("a.csv", "a\n1\n") }], ReadOptions::default()).await;
    assert_eq!(odd.kind(), ErrorKind::Unsupported);
    let twice = read(&[stored("a.csv.gz", "?")], ReadOptions::default()).await;
    assert!(twice.reason().unwrap().contains("compressed itself"));
    let inside = read(&[stored("a.parquet", "PAR1")], ReadOptions::default()).await;
    assert!(inside.reason().unwrap().contains("Parquet"));
    let empty = read(&[], ReadOptions::default()).await;
    assert!(empty.reason().unwrap().contains("no file"), "{empty}");
    let sink = folder.0.path().join("b.csv.zip");
    let unwritten = converted(&folder.file("a.csv", b"a\n1\n"), &sink, WriteOptions::default()).await.unwrap_err();
    assert_eq!(unwritten.kind(), ErrorKind::Unsupported);
    assert!(!sink.exists());
}

#[tokio::test]
async fn a_damaged_archive_is_an_error_wherever_it_is_cut_or_changed() {
    let folder = Folder::new();
    let text = "id,name\n1,one\n2,two\n";
    let archive = zip(&[stored("a.csv", text), deflated("b.csv", text)]);
    for length in 4..archive.len() {
        let path = folder.file("cut.zip", &archive[..length]);
        assert_eq!(error(&path, ReadOptions::default()).await.kind(), ErrorKind::Invalid, "cut at {length}");
    }
    let known = read(&folder.file("a.zip", &archive), ReadOptions::default()).await.unwrap();
    for index in 4..archive.len() {
        let mut changed = archive.clone();
        changed[index] ^= 0x10;
        // What is not checked, such as the time, changes nothing.
        if let Ok(table) = read(&folder.file("changed.zip", &changed), ReadOptions::default()).await {
            assert!(table == known || table.num_rows() == 2, "byte {index}");
        }
    }
    let mut changed = archive;
    changed[38] ^= 1;
    let error = error(&folder.file("changed.zip", &changed), ReadOptions::default()).await;
    assert!(error.subject().contains("`a.csv`") && error.reason().unwrap().contains("damaged"), "{error}");
}
