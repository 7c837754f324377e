//! Which start of the machine this is.

/// Drawn anew each time the machine starts; none where the system has no such thing.
#[must_use]
pub fn boot_id() -> Option<[u8; 16]> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    parse(&std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?)
}

/// 32 hex digits, with hyphens between some of them.
fn parse(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.trim_end().split('-').collect();
    if digits.len() != 32 {
        return None;
    }
    u128::from_str_radix(&digits, 16)
        .ok()
        .map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_the_machine_is_one_number() {
        let id = parse("00112233-4455-6677-8899-aabbccddeeff\n").unwrap();
        assert_eq!(id[..4], [0, 0x11, 0x22, 0x33]);
        assert_eq!(parse("00112233"), None);
        assert_eq!(parse(&"x".repeat(32)), None);
        assert_eq!(boot_id(), boot_id());
    }
}
