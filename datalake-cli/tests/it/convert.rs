//! Conversion and SQL by the binary: one reader for both.

use crate::scratch::Scratch;

const DIRTY: &str = "id,name,kcal\n001,apple,52\n002,pear\n003,\"bread, white\",265.5\n004,plum,\n";

#[test]
fn formats_convert_in_a_circle() {
    let scratch = Scratch::new();
    scratch.write("a.csv", "id,name,kcal\n001,apple,52\n003,\"bread, white\",265.5\n004,plum,\n");
    scratch.ok(&["convert", "a.csv", "a.parquet"]);
    scratch.ok(&["convert", "a.parquet", "a.ndjson"]);
    scratch.ok(&["convert", "a.ndjson", "a.json"]);
    scratch.ok(&["convert", "a.json", "b.csv"]);
    let circle = std::fs::read_to_string(scratch.path("b.csv")).unwrap();
    assert_eq!(circle, "id,name,kcal\n001,apple,52.0\n003,\"bread, white\",265.5\n004,plum,\n");
}

#[test]
fn stdin_and_stdout_are_pipes() {
    let scratch = Scratch::new();
    scratch.write("in.ndjson", "{\"a\":1,\"b\":{\"c\":true}}\n");
    let mut command = scratch.command(&["convert", "-", "-", "--from", "ndjson", "--to", "csv", "--flatten"]);
    command.stdin(std::fs::File::open(scratch.path("in.ndjson")).unwrap());
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a,b_c\n1,true\n", "{output:?}");
}

#[test]
fn one_dirty_file_reads_the_same_by_sql_and_by_convert() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    scratch.ok(&["mb", "processed-data"]);
    scratch.write("dirty.csv", DIRTY);
    scratch.ok(&["cp", "dirty.csv", "lake://raw-data/dirty.csv"]);
    let quarantine = ["--on-row-error", "quarantine"];

    let by_convert = "lake://processed-data/by-convert.parquet";
    scratch.ok(&["convert", "lake://raw-data/dirty.csv", by_convert, quarantine[0], quarantine[1]]);
    let query = "SELECT * FROM 'raw-data/dirty.csv'";
    scratch.ok(&["sql", query, "--to", "lake://processed-data/by-sql.parquet", quarantine[0], quarantine[1]]);

    let table = |name: &str| {
        let path = format!("lake://processed-data/{name}.parquet");
        (scratch.ok(&["schema", &path, "--output", "json"]), scratch.ok(&["convert", &path, "-", "--to", "ndjson"]))
    };
    assert_eq!(table("by-convert"), table("by-sql"));
    let kept: Vec<String> = scratch
        .files("lake/processed-data/_quarantine")
        .iter()
        .map(|file| std::fs::read_to_string(scratch.path(file)).unwrap())
        .collect();
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[0], kept[1]);
    assert!(kept[0].contains("\"ragged\""), "{}", kept[0]);
}

#[test]
fn quarantined_records_of_a_local_file_lie_beside_the_result() {
    let scratch = Scratch::new();
    scratch.write("dirty.csv", DIRTY);
    scratch.ok(&["convert", "dirty.csv", "out.csv", "--on-row-error", "quarantine"]);
    let kept = std::fs::read_to_string(scratch.path("out.csv.run/quarantine.ndjson")).unwrap();
    assert_eq!(kept.lines().count(), 1, "{kept}");
    assert!(kept.contains("002,pear"), "{kept}");
}

#[test]
fn too_many_bad_records_leave_no_result_but_the_records() {
    let scratch = Scratch::new();
    scratch.write("dirty.csv", DIRTY);
    let limited = ["convert", "dirty.csv", "out.csv", "--on-row-error", "quarantine", "--max-bad-rows", "5%"];
    scratch.run(&limited).failed(1, &["1 of 4", "out.csv.run/quarantine.ndjson"]);
    assert!(!scratch.path("out.csv").exists());
    assert!(scratch.path("out.csv.run/quarantine.ndjson").exists());

    scratch.write("dirty.csv", "id,name,kcal\n001,apple,52\n");
    scratch.ok(&limited);
    assert!(!scratch.path("out.csv.run").exists(), "the quarantine of an earlier conversion stayed");
}

#[test]
fn a_prefix_never_empties_a_bucket() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    scratch.write("a.csv", "x\n1\n");
    scratch.ok(&["cp", "a.csv", "lake://raw-data/100%/a.csv"]);
    for path in ["raw-data/", "raw-data", "raw-data//"] {
        scratch.run(&["rm", "-r", path]).failed(1, &["raw-data"]);
        scratch.run(&["rm", path]).failed(1, &["raw-data"]);
    }
    scratch.ok(&["rm", "-r", "raw-data/100%/"]);
    assert!(scratch.files("lake/raw-data").is_empty());
}

#[test]
fn without_the_option_both_refuse_the_dirty_row() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    scratch.write("dirty.csv", DIRTY);
    scratch.ok(&["cp", "dirty.csv", "lake://raw-data/dirty.csv"]);
    scratch.run(&["convert", "dirty.csv", "out.csv"]).failed(1, &["row 2", "line 3"]);
    scratch.run(&["sql", "SELECT count(*) FROM 'raw-data/dirty.csv'"]).failed(1, &["row 2", "line 3"]);
}

#[test]
fn a_nested_column_unites_with_an_empty_one() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    scratch.write("lake/raw-data/t/a.ndjson", "{\"n\":1,\"tags\":[1,2],\"food\":{\"g\":1.5}}\n");
    scratch.write("lake/raw-data/t/b.ndjson", "{\"n\":2.5,\"tags\":null,\"food\":{\"g\":2.5}}\n");
    scratch.write("lake/raw-data/t/c.csv", "n,tags\n3,\n");
    let query = "SELECT sum(n) AS n, sum(array_length(tags)) AS tags, sum(food['g']) AS g FROM 'raw-data/t/*'";
    let json: serde_json::Value = serde_json::from_str(&scratch.ok(&["sql", query, "--output", "json"])).unwrap();
    assert_eq!(json, serde_json::json!([{ "n": 6.5, "tags": 2, "g": 4.0 }]));
}

/// Runs a pipeline of one prepare step, with further settings.
fn prepare(scratch: &Scratch, source: &str, destination: &str, settings: &str) {
    let file = format!(
        "name = \"p\"\n[[prepare]]\nname = \"t\"\nsources = [\"{source}\"]\n\
         destination = \"processed-data/{destination}\"\n{settings}\n"
    );
    scratch.write("p.toml", file);
    scratch.ok(&["run", "p.toml"]);
}

#[test]
fn a_pipeline_without_declared_columns_gives_what_sql_does() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    scratch.ok(&["mb", "processed-data"]);
    scratch.write("lake/raw-data/t/a.csv", "id,x,at,flag\n1,1.50,2024-01-01 10:00:00,TRUE\n2,2,,FALSE\n");
    scratch.write("lake/raw-data/t/b.csv", "id,x,at,flag\n3,abc,later,maybe\n");
    prepare(&scratch, "raw-data/t/*", "t.csv", "");
    let expected = "id,x,at,flag\n1,1.50,2024-01-01 10:00:00,TRUE\n2,2,,FALSE\n3,abc,later,maybe\n";
    assert_eq!(scratch.ok(&["cat", "processed-data/t.csv"]), expected);
    scratch.ok(&["sql", "SELECT * FROM 'raw-data/t/*'", "--to", "sql.csv"]);
    assert_eq!(std::fs::read_to_string(scratch.path("sql.csv")).unwrap(), expected);
}

#[test]
fn decimal_commas_reach_every_object() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    scratch.write("lake/raw-data/d/a.csv", "x;y\n1,5;2\n");
    scratch.write("lake/raw-data/d/b.csv", "x;z\n2,5;2\n");
    let json = scratch.ok(&["sql", "--decimal", ",", "SELECT sum(x) AS x FROM 'raw-data/d/*'", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json, serde_json::json!([{ "x": 4.0 }]));
}

#[test]
fn a_long_header_is_read_whole_whatever_is_declared() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    scratch.ok(&["mb", "processed-data"]);
    let names: String = (0..20_000).map(|index| format!(",column_{index}")).collect();
    let values = ",1".repeat(20_000);
    scratch.write("lake/raw-data/wide.csv", format!("id{names}\n7{values}\n"));
    prepare(&scratch, "raw-data/wide.csv", "t.csv", "columns = [{ name = \"id\", type = \"int64\" }]");
    assert_eq!(scratch.ok(&["cat", "processed-data/t.csv"]), "id\n7\n");
}

#[test]
fn a_table_without_rows_can_go_to_any_format() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    scratch.ok(&["mb", "processed-data"]);
    scratch.write("lake/raw-data/a.csv", "id,name\n1,a\n");
    for format in ["ndjson", "json", "csv", "parquet"] {
        let none = "sql = \"SELECT * FROM scan WHERE id > 5 ORDER BY id\"";
        prepare(&scratch, "raw-data/a.csv", &format!("e.{format}"), none);
    }
}

#[test]
fn sql_prints_tables_and_json() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    scratch.write("lake/raw-data/a.csv", "x,y\n1,a\n2,b\n");
    scratch.write("lake/raw-data/b.csv", "y,x\nc,3.5\n");
    let json = scratch.ok(&["sql", "SELECT sum(x) AS total FROM 'raw-data/*.csv'", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json, serde_json::json!([{ "total": 6.5 }]));
    assert!(scratch.ok(&["sql", "SELECT y FROM 'raw-data/b.csv'"]).contains('c'));
    scratch.run(&["sql", "SELECT z FROM 'raw-data/b.csv'"]).failed(1, &["z"]);
    scratch.run(&["sql", "SELECT * FROM 'raw-data/none.csv'"]).failed(1, &["raw-data/none.csv"]);
}

#[test]
fn what_was_converted_is_proven_verified_and_replayed() {
    let scratch = Scratch::new();
    scratch.write("dirty.csv", DIRTY);
    let quarantine = ["--on-row-error", "quarantine", "--exact"];
    scratch.ok(&[&["convert", "dirty.csv", "out.parquet"], &quarantine[..]].concat());
    let verified = scratch.ok(&["verify", "out.parquet"]);
    assert!(verified.contains("4 seen = 3 written + 1 quarantined"), "{verified}");

    // A record is corrected in its line.
    let kept = std::fs::read_to_string(scratch.path("out.parquet.run/quarantine.ndjson")).unwrap();
    scratch.write("out.parquet.run/quarantine.ndjson", kept.replace("002,pear", "002,pear,57"));
    let replayed = scratch.ok(&["replay", "out.parquet", "--output", "json"]);
    let replayed: serde_json::Value = serde_json::from_str(&replayed).unwrap();
    assert_eq!((&replayed["brought_back"], &replayed["quarantined"]), (&1.into(), &0.into()));
    assert_eq!(
        scratch.ok(&["convert", "out.parquet", "-", "--to", "csv"]),
        "id,name,kcal\n001,apple,52.0\n003,\"bread, white\",265.5\n004,plum,\n002,pear,57.0\n"
    );
    scratch.ok(&["verify", "out.parquet"]);

    // In the lake each conversion is a run.
    scratch.ok(&["mb", "raw-data"]);
    let done = scratch.ok(&["convert", "out.parquet", "lake://raw-data/out.csv", "--output", "json"]);
    let done: serde_json::Value = serde_json::from_str(&done).unwrap();
    let run = done["run"].as_str().unwrap();
    scratch.ok(&["verify", run]);
    let object = scratch.path("lake/raw-data/out.csv");
    let text = std::fs::read_to_string(&object).unwrap();
    std::fs::write(&object, text.replace("57.0", "58.0")).unwrap();
    scratch.run(&["verify", run]).failed(1, &["the bytes of lake://raw-data/out.csv"]);

    // What CSV cannot tell apart is told.
    scratch.write("texts.ndjson", "{\"a\":\"\",\"b\":1}\n");
    scratch.run(&["convert", "texts.ndjson", "texts.csv", "--exact"]).failed(1, &["values of `a`", "write Parquet"]);
}

#[test]
fn many_things_are_verified_in_a_line_and_those_that_fail_are_shown() {
    let scratch = Scratch::new();
    let rows: String = (0..40).map(|row| format!("{row},{}\n", row % 2)).collect();
    scratch.write("a.csv", format!("id,k\n{rows}"));
    scratch.ok(&["convert", "a.csv", "out/", "--max-rows-per-file", "4"]);
    assert_eq!(scratch.ok(&["verify", "out/"]), "10 files verified, 0 differ; 40 rows\n");
    for all in [&["--verbose"][..], &["--output", "json"]] {
        let said = scratch.ok(&[&["verify", "out/"], all].concat());
        assert!(said.contains("part-00000.parquet") && said.contains("part-00009.parquet"), "{said}");
    }
    scratch.write("out/part-00003.parquet", "?");
    let output = scratch.command(&["verify", "out/"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("part-00003.parquet") && !said.contains("part-00002.parquet"), "{said}");
    assert!(said.contains("\n10 files verified, 1 differs; 36 of 40 rows counted"), "{said}");
}

#[test]
fn objects_without_their_scheme_are_proposed() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    scratch.write("a.csv", "id\n1\n");
    scratch.ok(&["cp", "a.csv", "lake://raw-data/t/a.csv"]);
    for command in [&["schema"][..], &["verify"], &["replay"], &["convert"]] {
        let to: &[&str] = if command == ["convert"] { &["b.csv"] } else { &[] };
        let said = ["did you mean the object `lake://raw-data/t/a.csv`?"];
        scratch.run(&[command, &["raw-data/t/a.csv"], to].concat()).failed(1, &said);
    }
    scratch.run(&["schema", "lake://raw-data/t"]).failed(1, &["did you mean the objects below `lake://raw-data/t/`?"]);
    scratch.run(&["schema", "none.csv"]).failed(1, &["none.csv", "there is no such file"]);
}

#[test]
fn a_replay_may_have_other_types() {
    let scratch = Scratch::new();
    scratch.write("typed.csv", "id,x\n1,2\n2,abc\n3,4\n");
    scratch.ok(&[
        "convert",
        "typed.csv",
        "out.parquet",
        "--schema",
        "id:int64!,x:int64",
        "--on-row-error",
        "quarantine",
    ]);
    scratch.ok(&["replay", "out.parquet", "--schema", "id:int64!,x:text"]);
    let text = scratch.ok(&["convert", "out.parquet", "-", "--to", "ndjson"]);
    assert_eq!(text, "{\"id\":1,\"x\":\"2\"}\n{\"id\":3,\"x\":\"4\"}\n{\"id\":2,\"x\":\"abc\"}\n");
    scratch.ok(&["verify", "out.parquet"]);
}

#[test]
fn text_is_read_in_the_encoding_that_is_said_also_once_more() {
    let scratch = Scratch::new();
    let text = "id,gr\u{f6}\u{df}e,name\n1,5,Br\u{f6}d\n2,x,Kr\u{e4}uter\n";
    let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    std::fs::write(scratch.path("old.csv"), latin).unwrap();
    scratch.run(&["convert", "old.csv", "new.parquet"]).failed(1, &["line 1", "--encoding windows-1252"]);
    let schema = "id:int64,gr\u{f6}\u{df}e:int64,name:text";
    let options = ["--encoding", "windows-1252", "--schema", schema, "--on-row-error", "quarantine"];
    scratch.ok(&[&["convert", "old.csv", "new.parquet"], &options[..]].concat());
    let kept = std::fs::read_to_string(scratch.path("new.parquet.run/quarantine.ndjson")).unwrap();
    scratch.write("new.parquet.run/quarantine.ndjson", kept.replace("2,x,", "2,7,"));
    scratch.ok(&["replay", "new.parquet"]);
    let table = scratch.ok(&["convert", "new.parquet", "-", "--to", "csv"]);
    assert_eq!(table, text.replace("2,x,", "2,7,"));
}

#[test]
fn names_say_how_text_is_compressed() {
    let scratch = Scratch::new();
    scratch.write("a.csv", "id,name\n1,apple\n2,pear\n");
    for suffix in ["gz", "bz2", "xz", "zst", "sz", "lz4"] {
        let packed = format!("b.csv.{suffix}");
        scratch.ok(&["convert", "a.csv", &packed]);
        assert_eq!(scratch.ok(&["convert", &packed, "-", "--to", "csv"]), "id,name\n1,apple\n2,pear\n", "{suffix}");
    }
    scratch.ok(&["convert", "a.csv", "c.csv", "--compression", "zstd(3)"]);
    assert!(std::fs::read(scratch.path("c.csv")).unwrap().starts_with(b"\x28\xb5\x2f\xfd"));
    scratch.run(&["convert", "a.csv", "c.csv", "--compression", "rar"]).failed(1, &["`rar`", "bzip2", "zstd(3)"]);
    scratch.run(&["convert", "a.csv", "c.csv.zip"]).failed(1, &["zip archives are read and not written"]);
}

#[test]
fn many_files_are_one_table_and_one_table_is_many_files() {
    let scratch = Scratch::new();
    for (name, text) in [
        ("exports/a.csv", "id,name\n1,apple\n2\n"),
        ("exports/b.csv", "id,name\n3,pear\n"),
        ("exports/c.csv", "name,kcal,id\nplum,46,4\n"),
        ("exports/_old.csv", "id,name\n9,x\n"),
    ] {
        scratch.write(name, text);
    }
    let expected = "id,name,kcal\n1,apple,\n3,pear,\n4,plum,46\n";
    for source in ["exports", "exports/", "exports/*.csv", "**/*.csv"] {
        let output = scratch.command(&["convert", source, "all.csv", "--on-row-error", "quarantine"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains("2 of 3 files, the first of them exports/a.csv, have no column `kcal`: null there"),
            "{said}"
        );
        assert!(said.contains("4 records seen = 3 written + 1 quarantined (all.csv.run/quarantine.ndjson)"), "{said}");
        assert_eq!(std::fs::read_to_string(scratch.path("all.csv")).unwrap(), expected, "{source}");
        let kept = std::fs::read_to_string(scratch.path("all.csv.run/quarantine.ndjson")).unwrap();
        assert!(kept.starts_with("{\"source\":\"exports/a.csv\",\"row\":2,\"line\":3,"), "{kept}");
        // The result of the last turn would be found by `**`.
        std::fs::remove_file(scratch.path("all.csv")).unwrap();
    }
    scratch.run(&["convert", "exports", "all.csv"]).failed(1, &["exports/a.csv", "row 2"]);
    scratch.run(&["convert", "exports/*.tsv", "all.csv"]).failed(1, &["no file matches", "`a.csv`"]);

    scratch.write("clean.csv", "n,k\n1,a\n2,a\n3,\n4,b c\n");
    let parted = ["convert", "clean.csv", "out/", "--partition-by", "k", "--output", "json"];
    let written = scratch.ok(&parted);
    assert!(written.contains("\"path\": \"k=b c/part-00000.parquet\""), "{written}");
    scratch.run(&parted).failed(1, &["not empty", "overwrite"]);
    scratch.ok(&["convert", "clean.csv", "out/", "--partition-by", "k", "--overwrite", "--to", "csv"]);
    let files = scratch.files("out");
    assert_eq!(files.iter().filter(|file| file.ends_with("part-00000.csv")).count(), 3, "{files:?}");
    scratch.ok(&["convert", "out", "back.csv"]);
    let back = std::fs::read_to_string(scratch.path("back.csv")).unwrap();
    assert_eq!(back, "n,k\n3,\n1,a\n2,a\n4,b c\n");
    scratch.run(&["convert", "clean.csv", "one.csv", "--max-rows-per-file", "2"]).failed(1, &["ends in `/`"]);
}

#[test]
fn a_prefix_of_the_lake_is_written_and_read_as_one_table() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "processed-data"]);
    scratch.write("clean.csv", "n,k\n1,a\n2,b\n3,c\n");
    scratch.ok(&["convert", "clean.csv", "lake://processed-data/t/", "--max-rows-per-file", "2"]);
    assert_eq!(scratch.ok(&["convert", "lake://processed-data/t/", "-", "--to", "csv"]), "n,k\n1,a\n2,b\n3,c\n");
    let query = "SELECT sum(n) AS n FROM 'processed-data/t/'";
    let json: serde_json::Value = serde_json::from_str(&scratch.ok(&["sql", query, "--output", "json"])).unwrap();
    assert_eq!(json[0]["n"], 6);
    for source in ["lake://processed-data/t/", "processed-data/t/*.parquet"] {
        assert!(scratch.ok(&["schema", source]).contains("3 rows"), "{source}");
    }
}

#[test]
fn options_that_would_do_nothing_are_errors_and_hints_are_flags() {
    let scratch = Scratch::new();
    scratch.write("a.csv", "id,x\n1,2\n2,many\n");
    let fails = |options: &[&str], words: &[&str]| {
        scratch.run(&[&["convert"], options].concat()).failed(1, words);
    };
    fails(&["a.csv", "a.parquet", "--to-sep", ";"], &["`--to-sep`", "it says how CSV is written, and parquet is"]);
    fails(
        &["a.csv", "a.ndjson", "--bloom-filter", "id"],
        &["`--bloom-filter`", "how Parquet is written, and ndjson is"],
    );
    fails(
        &["a.csv", "a.parquet", "--max-bad-rows", "5"],
        &["`--max-bad-rows`", "hint: ", "`--on-row-error quarantine`"],
    );
    fails(&["a.csv", "a.parquet", "--schema", "id:int64,x:int64"], &["`--on-row-error quarantine`"]);
    assert!(!scratch.path("a.parquet").exists() && !scratch.path("a.ndjson").exists());

    scratch.ok(&["convert", "a.csv", "b.parquet"]);
    let how = ["`--sep`", "it says how CSV is read, and the source is parquet"];
    scratch.run(&["schema", "b.parquet", "--delimiter", ";"]).failed(1, &how);
    scratch.run(&["schema", "-", "--from", "parquet", "--sep", ";"]).failed(1, &how);
    scratch.run(&["schema", "a.csv", "--rows", "x"]).failed(1, &["`--rows`", "a JSON document, and the source is csv"]);

    scratch.write("marks.csv", "x;y\n1.5;1\n2.25;2\n3,7;3\n");
    let ran = scratch.run(&["schema", "marks.csv"]);
    assert!(ran.stderr.contains("`3,7` in row 3 (1 of 3 values); with `--decimal either` it is numbers"), "{ran:?}");
    assert!(scratch.ok(&["schema", "marks.csv", "--decimal", "either"]).contains("float64"));

    let ran = scratch.run(&["convert", "a.csv", "b.csv", "--delimiter", ";"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("with `;` between fields, the first record is one column"), "{ran:?}");

    scratch.write("nan.csv", "x,y\n1.5,1\nNaN,2\n-inf,3\n");
    let ran = scratch.run(&["convert", "nan.csv", "nan.ndjson", "--schema", "x:float64,y:int64"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("column `x`: 2 values become null, as JSON has no `NaN` (row 2)"), "{ran:?}");
}

#[test]
fn a_replay_says_of_folders_what_the_schema_declares_of_them() {
    let scratch = Scratch::new();
    scratch.write("t/weight=5 kg/a.csv", "a\n1\nx\n");
    scratch.write(
        "columns.json",
        r#"[{"name":"grams","type":"float64","unit":"g","from":"weight"},{"name":"a","type":"int64"}]"#,
    );
    let options = ["--schema", "columns.json", "--on-row-error", "quarantine"];
    for out in ["out.parquet", "out.csv"] {
        scratch.ok(&[&["convert", "t/", out], &options[..]].concat());
        let kept = format!("{out}.run/quarantine.ndjson");
        let text = std::fs::read_to_string(scratch.path(&kept)).unwrap();
        scratch.write(&kept, text.replace("\"raw\":\"x\"", "\"raw\":\"2\""));
        scratch.ok(&["replay", out]);
        let rows = scratch.ok(&["convert", out, "-", "--to", "csv"]);
        assert_eq!(rows.lines().skip(1).collect::<Vec<_>>(), ["1,5000.0", "2,5000.0"], "{out}");
    }
}
