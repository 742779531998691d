pub fn lru_clock(now_ms: u64) -> u16 {
    (now_ms / 1000) as u16
}
pub fn lfu_minutes(now_ms: u64) -> u16 {
    (now_ms / 60000) as u16
}
pub fn lfu_new(m: u16) -> u16 {
    m << 8 | 5
}
pub fn lfu_touch(old: u16, _m: u16, _d: u32, _l: u32, _r: u64) -> u16 {
    old
}
