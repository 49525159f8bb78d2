//! The picture of the simulation, kept in `docs/simulation.svg`.

use std::path::Path;

use plotters::prelude::*;

use super::{BUCKET, BUCKETS, SECOND, Seen};

/// Fails if the picture in the docs is another; `DRAW=1` draws it anew.
pub(super) fn compare(careful: &Seen, careless: &Seen) {
    let drawn = draw(careful, careless);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/simulation.svg");
    if std::env::var_os("DRAW").is_some() {
        std::fs::write(&path, &drawn).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == drawn,
        "{} is not what the simulation shows: DRAW=1 cargo test -p httputil --lib simulation",
        path.display()
    );
}

fn draw(careful: &Seen, careless: &Seen) -> String {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (900, 640)).into_drawing_area();
        area.fill(&WHITE).unwrap();
        let (upper, lower) = area.split_vertically(320);
        panel(&upper, "with retry.budget and breaker, as by default", careful);
        panel(&lower, "three attempts without budget and breaker", careless);
        area.present().unwrap();
    }
    svg
}

fn panel(area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>, title: &str, seen: &Seen) {
    let seconds = (BUCKETS as u64 * BUCKET / SECOND) as f64;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(34)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..seconds, 0.0..16_000.0)
        .unwrap();
    chart
        .configure_mesh()
        .x_desc("seconds: half of the answers are 503 from 20 to 50, there are none from 70 to 85")
        .y_desc("a second")
        .light_line_style(TRANSPARENT)
        .draw()
        .unwrap();
    for (name, counts, color) in [
        ("requests", &seen.requests, BLACK.mix(0.4)),
        ("attempts", &seen.attempts, RED.mix(0.9)),
        ("good answers", &seen.good, BLUE.mix(0.9)),
    ] {
        chart
            .draw_series(LineSeries::new(by_half_seconds(counts), color.stroke_width(2)))
            .unwrap()
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .draw()
        .unwrap();
}

/// Points of a line: the middle of a half second, and how many a second there were.
fn by_half_seconds(counts: &[u32]) -> Vec<(f64, f64)> {
    let points = counts.chunks(5).enumerate();
    points
        .map(|(index, counts)| {
            let many: u32 = counts.iter().sum();
            (index as f64 / 2.0 + 0.25, f64::from(many) * 2.0)
        })
        .collect()
}
