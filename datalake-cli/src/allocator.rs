//! What gives the program its memory. That of glibc keeps more of it the longer a conversion runs: 59 MB at a million rows,
//! 117 at fifty million (jemalloc 49 and 60, with no more CPU). That of musl costs ten times the CPU where threads allocate.

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Not on ARM, whose kernels have pages of 4 to 64 KiB: it must know which when it is compiled.
#[cfg(all(target_env = "gnu", target_arch = "x86_64"))]
mod jemalloc {
    #[global_allocator]
    static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

    /// One arena, as each keeps what it had: what threads want often is small, and kept for each of them. Blocks of text and pages
    /// are not kept besides. What nobody wanted for three seconds goes back: to ask for it anew after half a second took a third
    /// more of the kernel's time.
    // SAFETY: jemalloc reads a `const char *` of this name, as its manual says: a reference to an array is a plain pointer, and
    // the text ends with a zero.
    #[unsafe(export_name = "malloc_conf")]
    static OPTIONS: &[u8; 46] = b"narenas:1,tcache_max:4096,dirty_decay_ms:3000\0";

    #[cfg(test)]
    #[test]
    fn its_options_are_heeded() {
        use tikv_jemalloc_ctl::opt;
        assert_eq!(OPTIONS.iter().position(|byte| *byte == 0), Some(OPTIONS.len() - 1));
        assert_eq!(opt::narenas::read().unwrap(), 1);
    }
}
