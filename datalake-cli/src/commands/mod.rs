//! One file per command; here the runtime that they share, and Ctrl-C.

mod buckets;
mod cancel;
mod convert;
mod evaluate;
mod exporter;
mod image;
mod job;
mod logs;
mod model;
mod pipeline;
mod predict;
mod reading;
mod replay;
mod run_step;
mod sample;
mod schema;
mod setup;
mod sql;
mod status;
mod teardown;
mod train;
mod verify;

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::CommandFactory;
use datalake_core::lake::ObjectPattern;
use datalake_core::progress::Progress;
use datalake_core::{Error, ErrorKind, Lake, Result, compute, lake};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Cli, Command, Global, Job, Sample};
use crate::cli_images::Image;
use crate::cli_models::Model;
use crate::exit::StopSignal;
use crate::output::Printer;
use crate::progress::Terminal;
use crate::settings;

/// How long a person is kept waiting for an endpoint that does not answer.
const A_PERSON: Duration = Duration::from_secs(5);
/// How long work in the background waits for one.
const A_JOB: Duration = Duration::from_secs(60);

/// What a command works with.
pub(crate) struct Tools {
    pub(crate) global: Global,
    pub(crate) printer: Printer,
    pub(crate) progress: Arc<dyn Progress>,
}

impl Tools {
    /// The lake that the command works on.
    pub(crate) fn lake(&self) -> Result<Arc<dyn Lake>> {
        settings::lake(&self.global, A_PERSON)
    }

    /// The same for work that nobody waits for: an endpoint that is away for a while is waited for.
    pub(crate) fn patient_lake(&self) -> Result<Arc<dyn Lake>> {
        settings::lake(&self.global, A_JOB)
    }

    /// Sees whether there is a table of this name, `bucket/key`, before anything is begun.
    pub(crate) async fn table(&self, lake: &Arc<dyn Lake>, table: &str) -> Result<()> {
        let found = match table.parse::<ObjectPattern>() {
            Ok(pattern) => pattern.matches(lake.as_ref()).await.map(drop),
            Err(error) => Err(error),
        };
        found.map_err(|error| match (error.kind(), Path::new(table).canonicalize()) {
            (ErrorKind::NotFound | ErrorKind::Invalid, Ok(file)) if file.is_file() => {
                let folder = Path::new(&lake.to_string()).canonicalize();
                match folder.ok().as_ref().and_then(|folder| file.strip_prefix(folder).ok()) {
                    Some(object) => error.with_hint(format_args!("in this lake it is `{}`", object.display())),
                    None => error.with_hint(format_args!(
                        "it is a file: bring it into the lake by `datalake cp '{table}' lake://raw-data/`"
                    )),
                }
            }
            _ => error,
        })
    }
}

/// Carries out one command; says which signal came meanwhile, if one did.
pub(crate) fn run(arguments: Cli) -> (Result<()>, Option<StopSignal>) {
    let stopped_by = OnceCell::new();
    (start(arguments, &stopped_by), stopped_by.into_inner())
}

fn start(arguments: Cli, stopped_by: &OnceCell<StopSignal>) -> Result<()> {
    let Cli { global, command } = arguments;
    if let Some(threads) = global.threads {
        compute::set_threads(threads)?;
    }
    let terminal = Terminal::new(&global);
    let tools = Tools { printer: Printer::new(&global), global, progress: Arc::clone(&terminal) as Arc<dyn Progress> };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|cause| Error::io("start", "the async runtime", cause))?;
    let (is_watching, is_serving) = (command.is_watching(), command.is_serving());
    let outcome = runtime.block_on(interruptible(dispatch(command, &tools), &terminal, stopped_by));
    // It is what ends such a command.
    let outcome = match (outcome, stopped_by.get()) {
        (Err(error), Some(signal))
            if error.kind() == ErrorKind::Cancelled
                && (is_serving || is_watching && matches!(signal, StopSignal::Interrupt)) =>
        {
            Ok(())
        }
        (outcome, _) => outcome,
    };
    // Files that were being written are taken back on their threads, which takes a moment. Nobody waits for more: not for
    // a read of a terminal, nor for work on the CPU threads that was told to stop.
    runtime.shutdown_timeout(Duration::from_secs(1));
    lake::abandon_writes();
    outcome
}

/// Ends a command at the first Ctrl-C or termination: what it was writing is taken back, or never appears.
async fn interruptible(
    command: impl Future<Output = Result<()>>,
    terminal: &Terminal,
    stopped_by: &OnceCell<StopSignal>,
) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|cause| Error::io("listen for", "signals", cause))?;
    tokio::pin!(command);
    let signal = tokio::select! {
        outcome = &mut command => return outcome,
        _ = tokio::signal::ctrl_c() => StopSignal::Interrupt,
        _ = terminate.recv() => StopSignal::Terminate,
    };
    stopped_by.get_or_init(|| signal);
    terminal.cancel();
    // Pipelines notice and say so in their manifest; all else is dropped.
    match tokio::time::timeout(Duration::from_secs(2), command).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::new(ErrorKind::Cancelled, "finish", "the command").with_reason("stopped by the user")),
    }
}

async fn dispatch(command: Command, tools: &Tools) -> Result<()> {
    match command {
        Command::MlPipeline(arguments) => pipeline::ml_pipeline(*arguments, tools).await,
        Command::Run(arguments) => pipeline::run(*arguments, tools).await,
        Command::Drive { errand } => pipeline::drive(&errand, tools).await,
        Command::RunStep(arguments) => run_step::run_step(arguments, tools).await,
        Command::Sample(Sample::Foods { rows, seed, clean, prefix }) => {
            sample::foods(rows, seed, clean, &prefix, tools).await
        }
        Command::Convert(arguments) => convert::convert(*arguments, tools).await,
        Command::Verify { run } => verify::verify(&run, tools).await,
        Command::Replay(arguments) => replay::replay(arguments, tools).await,
        Command::Sql(arguments) => sql::sql(*arguments, tools).await,
        Command::Schema(arguments) => schema::schema(arguments, tools).await,
        Command::Train(arguments) => train::train(*arguments, tools).await,
        Command::Evaluate(arguments) => evaluate::evaluate(arguments, tools).await,
        Command::Predict(arguments) => predict::predict(arguments, tools).await,
        Command::Model(Model::List) => model::list(tools).await,
        Command::Model(Model::Show { model }) => model::show(&model, tools).await,
        Command::Model(Model::Importances(arguments)) => model::importances(arguments, tools).await,
        Command::Model(Model::Digest { model }) => model::digest(&model, tools).await,
        Command::Model(Model::Merge { parts, model, compression }) => {
            model::merge(&parts, &model, compression.into(), tools).await
        }
        Command::Model(Model::Verify { models }) => model::verify(&models, tools).await,
        Command::Model(Model::Card { model, html }) => model::card(&model, html, tools).await,
        Command::Image(Image::Pack(arguments)) => image::pack(&arguments, tools),
        Command::Image(Image::Save { file, name }) => image::save_own(name.as_deref(), &file, tools),
        Command::SetupDatalake(arguments) => setup::setup(&arguments, tools).await,
        Command::Teardown(arguments) => teardown::teardown(&arguments, tools).await,
        Command::Image(Image::Push { name, from }) => image::push(&name, from.as_deref(), tools).await,
        Command::Status(arguments) => status::status(&arguments, tools).await,
        Command::Runs => status::runs(tools).await,
        Command::Logs(arguments) => logs::logs(&arguments, tools).await,
        Command::Exporter { listen } => exporter::export(listen, tools).await.map(|never| match never {}),
        Command::Cancel { run, cluster } => cancel::cancel(&run, &cluster, tools).await,
        Command::Job(Job::Submit(arguments)) => job::submit(*arguments, tools).await,
        Command::Job(Job::List(cluster)) => job::list(&cluster, tools).await,
        Command::Job(Job::Logs(arguments)) => job::logs(&arguments, tools).await,
        Command::Job(Job::Delete { name, cluster }) => job::delete(&name, &cluster, tools).await,
        Command::Mb { bucket } => buckets::make(&bucket, tools).await,
        Command::Rb { bucket } => buckets::remove(&bucket, tools).await,
        Command::Ls { path } => buckets::list(path.as_deref(), tools).await,
        Command::Cp { from, to } => buckets::copy(&from, &to, tools).await,
        Command::Rm { path, recursive } => buckets::delete(&path, recursive, tools).await,
        Command::Cat { path } => buckets::print(&path, tools).await,
        Command::Completions { shell } => completions(shell, tools),
    }
}

/// Ends the program as the parser of the command line does: what was typed cannot be right.
fn wrong_command_line(message: &str) -> ! {
    Cli::command().error(clap::error::ErrorKind::MissingRequiredArgument, message).exit()
}

fn completions(shell: clap_complete::Shell, tools: &Tools) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "datalake", &mut script);
    tools.printer.bytes(&script)
}
