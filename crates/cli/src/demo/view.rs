//! The calm terminal view of the demo.
//!
//! Owns: the screen and the keys. Does not own: what is shown (`board`, `invitation`).

use super::board::Board;
use super::invitation::Invitation;
use crate::context::Context;
use crate::failure::{Failure, Result, code};
use crate::record;
use crate::stop::Stop;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Style, Stylize as _};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Row, Table, Wrap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use systole_world::{ClockExt as _, Instant};

/// Between two looks at the board.
const REDRAW: Duration = Duration::from_millis(250);
/// Between two looks at the keyboard.
const KEYS: Duration = Duration::from_millis(100);
/// Lines that the invitation needs on 100 columns.
const INVITATION_LINES: u16 = 18;

/// Draws until someone presses `q` or Ctrl-C, or asks by a signal.
pub(crate) async fn run(invitation: &Invitation, board: &Mutex<Board>, cx: &Context) -> Result {
    let cannot = |error| Failure::new(code::OUTPUT, error);
    let mut terminal = ratatui::try_init().map_err(cannot)?;
    let stop = cx.stop.clone();
    let keys = std::thread::spawn(move || watch_keys(&stop));
    let mut drawn = Ok(());
    while !cx.stop.is_asked() && drawn.is_ok() {
        let now = cx.world.clock.instant();
        drawn = terminal
            .draw(|frame| {
                let mut board = board.lock().unwrap_or_else(PoisonError::into_inner);
                draw(frame, (&mut board, now), invitation);
            })
            .map(|_| ());
        tokio::select! {
            () = cx.world.clock.sleep(REDRAW) => {}
            () = cx.stop.asked() => {}
        }
    }
    cx.stop.ask();
    let _ended = keys.join();
    ratatui::restore();
    drawn.map_err(cannot)
}

/// In raw mode Ctrl-C is a key like any other.
fn watch_keys(stop: &Stop) {
    while !stop.is_asked() {
        if !event::poll(KEYS).unwrap_or(false) {
            continue;
        }
        match event::read() {
            Ok(Event::Key(key)) => {
                let is_interrupt =
                    key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
                if is_interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                    stop.ask();
                }
            }
            Ok(_) => {}
            Err(_) => stop.ask(),
        }
    }
}

fn draw(frame: &mut Frame<'_>, (board, now): (&mut Board, Instant), invitation: &Invitation) {
    let [head, body, join, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Min(5),
        Constraint::Length(INVITATION_LINES),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let title = format!("Systole  kafka {}  http {}", invitation.kafka, invitation.http);
    let count = match &board.trouble {
        Some(trouble) => trouble.clone(),
        None => {
            format!("{} events, every one on disk before it was acknowledged", board.events_total())
        }
    };
    frame.render_widget(Paragraph::new(vec![Line::from(title).bold(), Line::from(count)]), head);
    let [topics, patients] =
        Layout::horizontal([Constraint::Percentage(44), Constraint::Percentage(56)]).areas(body);
    draw_topics(frame, topics, (board, now));
    draw_patients(frame, patients, board);
    let lines = invitation.lines();
    let lines = lines.iter().map(|(name, line)| Line::from(format!("{name:<8} {line}")));
    let block = Block::bordered().title("Join in");
    let text = Paragraph::new(lines.collect::<Vec<_>>()).wrap(Wrap { trim: false }).block(block);
    frame.render_widget(text, join);
    frame.render_widget(Line::from("q or Ctrl-C stops the node in order").dim(), foot);
}

fn draw_topics(frame: &mut Frame<'_>, area: Rect, (board, now): (&mut Board, Instant)) {
    let rows = board
        .flows(now)
        .into_iter()
        .map(|it| Row::new([it.topic, it.events.to_string(), format!("{:.1}", it.per_second)]));
    let widths = [Constraint::Min(20), Constraint::Length(9), Constraint::Length(8)];
    let table = Table::new(rows, widths)
        .header(Row::new(["topic", "events", "per s"]).style(Style::new().bold()))
        .block(Block::bordered().title("Topics"));
    frame.render_widget(table, area);
}

fn draw_patients(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let rows = board.patients().into_iter().map(|it| {
        let at = it.last_at.map(record::time).unwrap_or_default();
        let time = at.get(11..19).unwrap_or_default().to_owned();
        Row::new([
            format!("patient {}", it.number),
            it.events.to_string(),
            it.last_kind.clone(),
            time,
        ])
    });
    let widths =
        [Constraint::Length(12), Constraint::Length(7), Constraint::Min(16), Constraint::Length(8)];
    let table = Table::new(rows, widths)
        .header(Row::new(["", "events", "last event", "at (UTC)"]).style(Style::new().bold()))
        .block(Block::bordered().title("Patients"));
    frame.render_widget(table, area);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use systole_client::record::TimestampKind;
    use systole_client::{Header, Offset, Record};
    use systole_kit::Timestamp;

    #[test]
    fn the_screen_shows_counts_and_kinds_and_no_name_of_a_patient() {
        let mut board = Board::default();
        let now = Instant::default();
        board.note(
            &Record {
                topic: "clinical.observation".into(),
                partition: 0,
                offset: Offset::ZERO,
                timestamp: Some((Timestamp::from_millis(43_200_000), TimestampKind::Create)),
                key: Some("Patient/doe-john".into()),
                value: Some("DOE".into()),
                headers: vec![Header::new(
                    "ce_type",
                    "health.systole.clinical.observation.created.v1",
                )],
            },
            now,
        );
        let http = std::net::SocketAddr::from(([127, 0, 0, 1], 8080));
        let invitation = Invitation { kafka: "127.0.0.1:9092".into(), http };
        let mut terminal = Terminal::new(TestBackend::new(100, 40)).unwrap();
        terminal.draw(|frame| draw(frame, (&mut board, now), &invitation)).unwrap();
        let screen = terminal.backend().to_string();
        for wanted in [
            "clinical.observation",
            "patient 1",
            "observation created",
            "12:00:00",
            "kcat",
            "KAFKA_HOME",
        ] {
            assert!(screen.contains(wanted), "{wanted} is missing:\n{screen}");
        }
        assert!(!screen.to_lowercase().contains("doe"), "{screen}");
    }
}
