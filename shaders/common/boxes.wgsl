// Geometry of boxes (x0, y0, x1, y1).

// Area of a box; 0 where it is degenerate or holds a NaN (the guard is positive, so NaN fails it).
fn box_area(box: vec4<f32>) -> f32 {
    let size = box.zw - box.xy;
    if size.x > 0.0 && size.y > 0.0 {
        return size.x * size.y;
    }
    return 0.0;
}

// Intersection over union; 0 where either box is degenerate.
fn box_iou(a: vec4<f32>, b: vec4<f32>) -> f32 {
    let area_a = box_area(a);
    let area_b = box_area(b);
    let shared_box = vec4<f32>(max(a.xy, b.xy), min(a.zw, b.zw));
    let intersection = box_area(shared_box);
    let both = area_a + area_b - intersection;
    if area_a > 0.0 && area_b > 0.0 && both > 0.0 {
        return intersection / both;
    }
    return 0.0;
}
