//! Octets as the vectors write them.

use serde_json::Value;

/// Octets in one of their two ways: the frame in `hex` or `parts`, `ok` in `ok_hex` or `ok_parts`, any other name as it
/// stands or with `_parts`.
pub(crate) fn octets(case: &Value, name: &str) -> Result<Vec<u8>, String> {
    let (whole, parts) = match name {
        "" => (&case["hex"], &case["parts"]),
        "ok" => (&case["ok_hex"], &case["ok_parts"]),
        name => (&case[name], &case[format!("{name}_parts")]),
    };
    match (whole, parts) {
        (Value::String(digits), Value::Null) => unhex(digits),
        (Value::Null, Value::Array(parts)) => {
            let mut octets = Vec::new();
            for part in parts {
                let times = part[1].as_u64().and_then(|times| times.try_into().ok());
                let (Some(digits), Some(times)) = (part[0].as_str(), times) else {
                    return Err(format!("not a part: {part}"));
                };
                octets.extend(unhex(digits)?.repeat(times));
            }
            Ok(octets)
        }
        _ => Err(format!("not octets: {whole} and {parts} ({name:?})")),
    }
}

fn unhex(digits: &str) -> Result<Vec<u8>, String> {
    let pairs = digits.as_bytes().chunks(2);
    let octets = pairs.map(|pair| {
        let pair = str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    let octets: Option<Vec<u8>> = octets.collect();
    octets.ok_or_else(|| format!("not hex: {digits:?}"))
}

pub(crate) fn hex(octets: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digits = octets.iter().flat_map(|octet| [octet >> 4, octet & 0xf]);
    digits.map(|digit| DIGITS[usize::from(digit)]).collect()
}
