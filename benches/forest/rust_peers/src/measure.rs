//! Times, CPU seconds and memory of one fit, and of predictions.

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::time::Instant;

use crate::Wanted;

/// How one crate grows, takes rows, and predicts.
pub struct Measured<'a, F, R, P> {
    pub wanted: &'a Wanted,
    pub version: &'a str,
    pub fit: F,
    pub rows: R,
    pub predict: P,
}

/// The features of a part of the table, row by row.
pub fn floats(wanted: &Wanted, part: &str) -> Result<Vec<f64>, Box<dyn Error>> {
    let bytes = fs::read(wanted.table.join(format!("{part}.raw")))?;
    Ok(bytes.as_chunks().0.iter().map(|&four| f64::from(f32::from_le_bytes(four))).collect())
}

/// The target that is learnt.
pub fn targets(wanted: &Wanted) -> Result<Vec<f64>, Box<dyn Error>> {
    let bytes = fs::read(wanted.table.join("y_train.raw"))?;
    Ok(bytes.as_chunks().0.iter().map(|&eight| f64::from_le_bytes(eight)).collect())
}

/// Fits once, predicts, prints the figures.
pub fn measure<M, X>(
    peer: Measured<
        '_,
        impl FnOnce() -> Result<M, Box<dyn Error>>,
        impl Fn(Vec<f64>) -> Result<X, Box<dyn Error>>,
        impl Fn(&M, &X) -> Result<Vec<f64>, Box<dyn Error>>,
    >,
) -> Result<(), Box<dyn Error>> {
    let Measured { wanted, version, fit, rows, predict } = peer;
    let base = memory("VmRSS")?;
    fs::write("/proc/self/clear_refs", "5")?;
    let (start, cpu) = (Instant::now(), cpu_seconds()?);
    let model = fit()?;
    let (fit_s, fit_cpu_s) = (start.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    let peak = memory("VmHWM")?;

    let held_out = predict(&model, &rows(floats(wanted, "X_held_out")?)?)?;
    let bytes: Vec<u8> = held_out.iter().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(wanted.out.join("predictions.raw"), bytes)?;

    let fresh = floats(wanted, "X_fresh")?;
    let all = rows(fresh.clone())?;
    let (start, cpu) = (Instant::now(), cpu_seconds()?);
    black_box(predict(&model, &all)?);
    let (predict_s, predict_cpu_s) = (start.elapsed().as_secs_f64(), cpu_seconds()? - cpu);

    let mut each = Vec::new();
    for values in fresh.chunks_exact(wanted.columns).take(1_000) {
        let row = rows(values.to_vec())?;
        let start = Instant::now();
        black_box(predict(&model, &row)?);
        each.push(start.elapsed().as_secs_f64() * 1e6);
    }
    each.sort_by(f64::total_cmp);
    let figures = serde_json::json!({
        "version": version, "fit_s": fit_s, "fit_cpu_s": fit_cpu_s, "base_mb": base, "peak_mb": peak - base,
        "predict_s": predict_s, "predict_cpu_s": predict_cpu_s, "row_us": each[each.len() / 2],
    });
    println!("{figures}");
    Ok(())
}

fn memory(key: &str) -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(key)).ok_or("the line is missing")?;
    Ok(line.split_whitespace().nth(1).ok_or("the number is missing")?.parse::<f64>()? / 1024.0)
}

/// User and system time of all threads; Linux counts hundredths.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}
