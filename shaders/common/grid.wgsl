// Work that needs more workgroups than one grid dimension holds (65535) is folded over x and y.

// Flat number of a workgroup; a folded grid has a tail, so callers compare it with their own bound.
fn flat_group(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}
