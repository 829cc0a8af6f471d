//! Links the binary to a fixed place: what lies at a place that the system chooses must correct 300,000 addresses at each start,
//! which takes twice as long as all else that a small conversion does.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |what: &str| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    // Against musl, rustc chooses what begins a program by its own option; `tests/static.sh` gives it.
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
