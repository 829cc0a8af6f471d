//! The command line as plain data: what can be typed, and its help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli_cluster::{SETUP_EXAMPLES, Setup, TEARDOWN_EXAMPLES, Teardown};
use crate::cli_images::Image;
use crate::cli_jobs::{InCluster, JobLogs, JobSubmit, RunStep, Where};
use crate::cli_models::{Evaluate, Model, Predict, Train};

/// A data lake with batch machine learning: buckets, CSV/JSON/Parquet conversion, SQL and random forests.
#[derive(Debug, Parser)]
#[command(name = "datalake", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "Examples:
  datalake ml-pipeline                     # the Food Calorie Analysis, end to end, in ./lake
  datalake status                          # what is in the lake, and how the last run went
  datalake sql \"SELECT food_group, avg(energy_kcal) FROM 'processed-data/foods.parquet' GROUP BY 1 ORDER BY 1\"
  datalake convert foods.csv foods.parquet
  datalake cp foods.csv lake://raw-data/foods/

Exit codes: 0 done, 1 wrong input, 2 wrong command line, 3 access denied, 4 endpoint unavailable,
5 disk or memory exhausted, 70 a bug, 130 interrupted, 143 terminated.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The lake: a folder, an S3 endpoint (`http://host:9000`), or `memory:` [default: that of datalake.toml, else that of
    /// the last `setup-datalake`, else ./lake].
    #[arg(long, global = true, env = "DATALAKE_URL", value_name = "URL")]
    pub(crate) lake: Option<String>,
    /// CPU threads; results never depend on it [default: all that the machine or the cgroup grants].
    #[arg(long, global = true, env = "DATALAKE_THREADS", value_name = "N", value_parser = whole::<usize>, allow_negative_numbers = true)]
    pub(crate) threads: Option<usize>,
    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    /// Says nothing but errors and results.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Says what begins, too.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the Food Calorie Analysis: sample data, clean tables, two forests, a report.
    #[command(after_help = "Examples:
  datalake ml-pipeline
  datalake ml-pipeline --rows 100000 --fresh
  DATALAKE_URL=http://127.0.0.1:9000 datalake ml-pipeline
  datalake ml-pipeline --on kubernetes --workers 3")]
    MlPipeline(Box<MlPipeline>),
    /// Runs a pipeline file.
    #[command(after_help = "Examples:
  datalake run examples/food-calories.toml
  datalake run examples/food-calories.toml --set source=raw-data/usda/foods.parquet")]
    Run(Box<Run>),
    /// Carries out one shard of a step: what a worker's container runs.
    #[command(hide = true)]
    RunStep(RunStep),
    /// Drives a run from within the cluster: what the container of its driver runs.
    #[command(hide = true)]
    Drive {
        /// What is to be done: `bucket/key`.
        errand: String,
    },
    /// Writes synthetic tables into the lake.
    #[command(subcommand)]
    Sample(Sample),
    /// Converts between CSV, JSON and Parquet.
    #[command(after_help = "Examples:
  datalake convert foods.csv foods.parquet
  datalake convert lake://raw-data/foods.json lake://processed-data/foods.parquet --flatten
  datalake convert foods.csv foods.parquet --schema 'id:int64!,name:text,price:decimal(10,2)' --on-row-error null
  datalake convert 'exports/**/*.csv.gz' lake://processed-data/exports.parquet --on-row-error quarantine
  datalake convert foods.parquet by-group/ --partition-by food_group
  cat foods.ndjson | datalake convert - - --from ndjson --to csv --sep ';' --decimal ,
  datalake convert export.csv foods.csv --skip-lines 2 --comment '#' --thousands . --to-sep ,

What is said of CSV (--sep, --quote, --decimal, --no-header) describes the source where that is CSV, else the destination;
--to-sep and its like always describe the destination.")]
    Convert(Box<Convert>),
    /// Reads what a run wrote and set aside again, and holds it against what the run says.
    #[command(after_help = "Examples:
  datalake verify 20261126T120000000-1a2b      # a run of a pipeline, or of a conversion into the lake
  datalake verify foods.parquet                # what a conversion wrote into a file")]
    Verify {
        /// A run, a local file, or `lake://bucket/key`.
        run: String,
    },
    /// Reads the quarantined records of a conversion once more, after a correction, and adds those that fit now.
    #[command(after_help = "Examples:
  datalake replay foods.parquet --null n/a     # `n/a` is a missing value after all
  datalake replay foods.parquet --schema 'id:int64!,kcal:float64'    # other types than before
  $EDITOR foods.parquet.run/quarantine.ndjson  # correct the records (`raw`), each in its line
  datalake replay foods.parquet")]
    Replay(Replay),
    /// Queries lake objects.
    #[command(after_help = "Examples:
  datalake sql \"SELECT count(*) FROM 'raw-data/foods/*.csv'\"
  datalake sql \"SELECT * FROM 'processed-data/foods.parquet' LIMIT 5\" --output json")]
    Sql(Box<Sql>),
    /// Shows the inferred schema of a table, a profile of its columns, and how CSV is written.
    Schema(Schema),
    /// Trains a model on a table.
    #[command(after_help = "Example:
  datalake train processed-data/foods.parquet --target energy_kcal --exclude food_code,name,family")]
    Train(Box<Train>),
    /// Evaluates a model on the rows that were held out, beside baselines.
    Evaluate(Evaluate),
    /// Writes a table with a model's predictions.
    Predict(Predict),
    /// Shows models.
    #[command(subcommand)]
    Model(Model),
    /// Makes container images, without a container engine.
    #[command(subcommand)]
    Image(Image),
    /// Brings up a lake in a Kubernetes cluster: an object store, its buckets, and what Jobs need.
    #[command(alias = "setup", after_help = SETUP_EXAMPLES)]
    SetupDatalake(Box<Setup>),
    /// Takes the lake in a cluster down; its data stay unless `--delete-data` is given.
    #[command(after_help = TEARDOWN_EXAMPLES)]
    Teardown(Teardown),
    /// Shows buckets and the last run; with `--watch` again and again.
    Status(Status),
    /// Lists runs.
    Runs,
    /// Shows what a run said, and its workers.
    #[command(after_help = "Examples:
  datalake logs                            # of the last run
  datalake logs 20261126T120000000-1a2b -f # as it goes on, until it ends")]
    Logs(Logs),
    /// Stops a run, wherever it is driven from, and its Jobs.
    Cancel {
        /// The run, as `datalake runs` lists it.
        run: String,
        #[command(flatten)]
        cluster: InCluster,
    },
    /// Serves the last run of each pipeline as metrics, for Prometheus.
    #[command(after_help = "Example:
  datalake exporter --listen 0.0.0.0:9465   # then scrape http://HOST:9465/metrics")]
    Exporter {
        /// Where it listens.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9465")]
        listen: std::net::SocketAddr,
    },
    /// Runs Jobs of your own on the cluster, with access to the lake.
    #[command(subcommand)]
    Job(Job),
    /// Makes a bucket.
    Mb {
        /// Its name.
        bucket: String,
    },
    /// Removes an empty bucket.
    Rb {
        /// Its name.
        bucket: String,
    },
    /// Lists buckets, or the objects of a bucket.
    Ls {
        /// `bucket` or `bucket/prefix`; all buckets without it.
        path: Option<String>,
    },
    /// Copies objects and files, either way.
    #[command(after_help = "Examples:
  datalake cp foods.csv lake://raw-data/foods/
  datalake cp lake://processed-data/foods.parquet .")]
    Cp {
        /// A file, a folder, `lake://bucket/key`, or `-`.
        from: String,
        /// A file, a folder, `lake://bucket/key`, or `-`.
        to: String,
    },
    /// Removes objects.
    Rm {
        /// `bucket/key`, with `*` where several are meant.
        path: String,
        /// Removes every object below the prefix.
        #[arg(short, long)]
        recursive: bool,
    },
    /// Prints an object.
    Cat {
        /// `bucket/key`.
        path: String,
    },
    /// Prints a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// Whether it shows what happens until its user has seen enough.
    pub(crate) fn is_watching(&self) -> bool {
        matches!(
            self,
            Self::Status(Status { watch: true, .. })
                | Self::Logs(Logs { follow: true, .. })
                | Self::Job(Job::Logs(JobLogs { follow: true, .. }))
        )
    }

    /// Whether it serves until it is stopped.
    pub(crate) fn is_serving(&self) -> bool {
        matches!(self, Self::Exporter { .. })
    }
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Shows it again and again, until Ctrl-C.
    #[arg(short, long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) cluster: InCluster,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The run, as `datalake runs` lists it; the last one where none is named.
    pub(crate) run: Option<String>,
    /// Goes on until the run ends.
    #[arg(short, long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    /// Submits a Job.
    #[command(after_help = "Examples:
  datalake job submit --name mine --image python:3.13 --script train.py
  datalake job submit --name count --image registry.local/tools:1 --follow -- /bin/count --all")]
    Submit(Box<JobSubmit>),
    /// Lists the Jobs that were submitted, until their --ttl is over.
    List(InCluster),
    /// Prints what a Job has printed.
    Logs(JobLogs),
    /// Removes a Job, whether it has ended or not.
    Delete {
        /// The Job, as `datalake job list` lists it.
        name: String,
        #[command(flatten)]
        cluster: InCluster,
    },
}

#[derive(Debug, Args)]
pub(crate) struct MlPipeline {
    /// Records of the sample; a sample that is there stays where this is not given [default: 6000].
    #[arg(long, value_parser = whole::<u64>, allow_negative_numbers = true)]
    pub(crate) rows: Option<u64>,
    /// The seed of the sample; a sample that is there stays where this is not given [default: 42].
    #[arg(long, value_parser = whole::<u64>, allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Does every step again.
    #[arg(long)]
    pub(crate) fresh: bool,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The pipeline file.
    pub(crate) file: PathBuf,
    /// Gives a variable of the file a value.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) settings: Vec<(String, String)>,
    /// Does every step again.
    #[arg(long)]
    pub(crate) fresh: bool,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sample {
    /// Food composition tables as CSV, NDJSON, JSON and Parquet, with the dirt that real ones have.
    #[command(after_help = "Example:
  datalake sample foods --rows 10000000 --prefix raw-data/load-test")]
    Foods {
        /// How many foods.
        #[arg(long, default_value_t = 6_000, value_parser = whole::<u64>, allow_negative_numbers = true)]
        rows: u64,
        /// The seed: the same seed gives the same bytes.
        #[arg(long, default_value_t = 42, value_parser = whole::<u64>, allow_negative_numbers = true)]
        seed: u64,
        /// Leaves the dirt out.
        #[arg(long)]
        clean: bool,
        /// Where they go.
        #[arg(long, default_value = "raw-data/foods")]
        prefix: String,
    },
}

/// How tables are read.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Reading")]
pub(crate) struct Reading {
    /// The format read, where suffix and content do not tell: csv, ndjson, json, parquet.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) from: Option<String>,
    /// The encoding of text that is not UTF-8: windows-1252, iso-8859-1, utf-16le, ... [default: UTF-8, or UTF-16 by its mark].
    #[arg(long, value_name = "NAME")]
    pub(crate) encoding: Option<String>,
    /// The file of a zip archive that is read [default: the only one, or all CSV or NDJSON files with the same columns].
    #[arg(long, value_name = "NAME")]
    pub(crate) member: Option<String>,
    /// The field separator of CSV; detected where not given.
    #[arg(long, visible_alias = "delimiter", value_name = "CHAR")]
    pub(crate) sep: Option<char>,
    /// What encloses the fields of CSV, or `none`; detected where not given.
    #[arg(long, value_name = "CHAR")]
    pub(crate) quote: Option<String>,
    /// What makes the next character of CSV one of the field's own, such as `\`.
    #[arg(long, value_name = "CHAR")]
    pub(crate) escape: Option<char>,
    /// What begins a line of CSV that is no record, such as `#`.
    #[arg(long, value_name = "CHAR")]
    pub(crate) comment: Option<char>,
    /// How many lines stand before the first record of CSV.
    #[arg(long, value_name = "N", default_value_t, value_parser = whole::<u64>, allow_negative_numbers = true)]
    pub(crate) skip_lines: u64,
    /// The decimal mark of numbers in CSV: `.`, `,` or `either`; detected where neither it nor types are given.
    #[arg(long, value_name = "MARK")]
    pub(crate) decimal: Option<String>,
    /// What may stand between groups of three digits of numbers in CSV.
    #[arg(long, value_name = "CHAR")]
    pub(crate) thousands: Option<char>,
    /// Words that mean a missing value, beside the empty field.
    #[arg(long, visible_alias = "nulls", value_name = "WORD", value_delimiter = ',', allow_negative_numbers = true)]
    pub(crate) null: Vec<String>,
    /// The first row of CSV holds names; detected where neither this nor `--no-header` is given.
    #[arg(long, conflicts_with = "no_header")]
    pub(crate) header: bool,
    /// The first row of CSV holds values, not names: columns are called `column_1` and so on.
    #[arg(long)]
    pub(crate) no_header: bool,
    /// The member of a JSON document that holds the rows.
    #[arg(long, value_name = "NAME")]
    pub(crate) rows: Option<String>,
    /// Turns the fields of JSON objects into columns `outer_inner`, at every depth. Lists stay lists, those of objects too.
    #[arg(long)]
    pub(crate) flatten: bool,
    /// The columns and their types: `id:int64!,name:text,price:decimal(10,2)`, where `!` means that no value may be missing, or a
    /// file that holds them as JSON or, if its name ends in `.toml`, as TOML. Columns that are not named are left out.
    #[arg(long, value_name = "FILE|COLUMNS")]
    pub(crate) schema: Option<String>,
    /// What becomes of records that do not fit.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) on_row_error: OnRowError,
    /// How many records may be quarantined, or have values that became null: a number, or a percentage such as `5%`.
    #[arg(long, value_name = "N|P%")]
    pub(crate) max_bad_rows: Option<String>,
}

/// How CSV is written, whatever is read.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Writing CSV")]
pub(crate) struct Writing {
    /// The field separator.
    #[arg(long, visible_alias = "to-delimiter", value_name = "CHAR")]
    pub(crate) to_sep: Option<char>,
    /// The decimal mark of numbers, `.` or `,`.
    #[arg(long, value_name = "CHAR")]
    pub(crate) to_decimal: Option<char>,
    /// What encloses fields that need it, or `none`.
    #[arg(long, value_name = "CHAR")]
    pub(crate) to_quote: Option<String>,
    /// The word for a missing value [default: an empty field].
    #[arg(long, value_name = "WORD", allow_negative_numbers = true)]
    pub(crate) to_null: Option<String>,
    /// What ends a line.
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    pub(crate) to_line_end: LineEnd,
    /// A first line with the names of columns, as there is unless `--to-no-header` is given.
    #[arg(long, conflicts_with = "to_no_header")]
    pub(crate) to_header: bool,
    /// No first line with the names of columns.
    #[arg(long)]
    pub(crate) to_no_header: bool,
}

/// What ends a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LineEnd {
    /// A line feed.
    #[default]
    Lf,
    /// A carriage return and a line feed.
    Crlf,
}

/// What becomes of records that do not fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnRowError {
    /// The command fails and names the record.
    #[default]
    Fail,
    /// The record goes to the quarantine.
    Quarantine,
    /// A value that does not fit becomes null and is counted; a record that is broken as a whole goes to the quarantine.
    Null,
}

#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// A file, `lake://bucket/key`, or `-` for stdin; many files of one format as one table: a folder, a prefix
    /// `lake://bucket/foods/`, or a quoted pattern such as `'exports/**/*.csv.gz'`. Folders `year=2024/` become columns.
    pub(crate) source: String,
    /// A file, `lake://bucket/key`, or `-` for stdout; a folder or prefix, which ends in `/`, becomes `part-00000.parquet` and
    /// so on.
    pub(crate) destination: String,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// The format written, where the suffix does not tell: csv, ndjson, json, parquet.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) to: Option<String>,
    /// The compression of what is written: none, gzip, bzip2, xz, zstd, snappy, lz4; gzip(LEVEL), zstd(LEVEL) [default: by
    /// the suffix; zstd(1) in Parquet].
    #[arg(long, visible_alias = "to-compression", value_name = "NAME")]
    pub(crate) compression: Option<String>,
    /// Only these columns, in this order.
    #[arg(long, visible_alias = "columns", value_name = "COLUMNS", value_delimiter = ',')]
    pub(crate) select: Vec<String>,
    #[command(flatten)]
    pub(crate) writing: Writing,
    /// Parquet: columns that get a Bloom filter, so that readers who look for a value pass over row groups.
    #[arg(long, visible_alias = "bloom-filters", value_name = "COLUMNS", value_delimiter = ',')]
    pub(crate) bloom_filter: Vec<String>,
    /// Reads again what was written, and fails unless it has the rows that were read, value by value.
    #[arg(long)]
    pub(crate) exact: bool,
    /// Adds a last column of this name with each record's file or object.
    #[arg(long, value_name = "NAME")]
    pub(crate) source_column: Option<String>,
    /// Parts the rows by the values of these columns, each in a folder `column=value/` of the destination.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub(crate) partition_by: Vec<String>,
    /// Begins another file of the destination after so many rows.
    #[arg(long, value_name = "N", value_parser = whole::<u64>, allow_negative_numbers = true)]
    pub(crate) max_rows_per_file: Option<u64>,
    /// Replaces what is in the destination's folder or prefix; otherwise one that is not empty is refused.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// How much memory the conversion may use, 96MiB or more: 256MiB, 1GiB. What is written does not depend on it [default: what
    /// keeps all CPU threads at work].
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The run that the conversion has told, or the local file or folder that it wrote.
    pub(crate) run: String,
    /// Words that mean a missing value this time, beside the empty field.
    #[arg(long, visible_alias = "nulls", value_name = "WORD", value_delimiter = ',', allow_negative_numbers = true)]
    pub(crate) null: Vec<String>,
    /// The columns and their types this time, as `convert` has them; of one Parquet file, whose types become these.
    #[arg(long, value_name = "FILE|COLUMNS")]
    pub(crate) schema: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Sql {
    /// The query; a table is a quoted `'bucket/key'`, with `*` where several objects make one table.
    pub(crate) query: String,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Writes the rows to a file or `lake://bucket/key` instead of printing them.
    #[arg(long, value_name = "DESTINATION")]
    pub(crate) to: Option<String>,
    /// The format written, where the suffix does not tell: csv, ndjson, json, parquet.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) to_format: Option<String>,
    /// How many rows are given at most; 0 gives all [default: 100 printed as a table, else all].
    #[arg(long, value_name = "N", value_parser = whole::<usize>, allow_negative_numbers = true)]
    pub(crate) limit: Option<usize>,
    #[command(flatten)]
    pub(crate) writing: Writing,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// A file, `lake://bucket/key`, or `-`; many files as one table: a folder, `lake://bucket/prefix/`, or a pattern of files or
    /// objects (`bucket/key` with `*` as well).
    pub(crate) source: String,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// A whole number that is not negative.
pub(crate) fn whole<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let most = u64::MAX >> (64 - 8 * size_of::<T>());
    let number = text.parse::<u64>().ok().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| format!("wanted is a whole number from 0 to {most}"))
}

pub(crate) fn setting(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("`{text}` is not of the form NAME=VALUE"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }
}
