"""The part that brings what is painted to the terminal.

A canvas that fills the screen goes to it directly, from cells to cells. Textual's way (strips, filters, crops, a frame
of text up to 16 ms later, which the driver takes apart into cells again) costs four times as much, and serves when
there is more to see than a sheet: a question, a search line.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import on
from textual.app import App
from textual.filter import LineFilter, NoColor
from textual.strip import Strip

from console.terminal.diff import Style, style_of
from console.terminal.driver import PatientDriver, Redraw
from console.terminal.output_filter import OutputFilter
from console.terminal.palette_styles import PaletteStyles
from console.widgets.canvas import Canvas, in_ascii
from console.widgets.sheet import Sheet

_COLOURLESS = NoColor()


class Drawing(App[int]):
    """Below all other parts: it knows nothing of what is shown."""

    palette: dict[str, RichStyle]

    def __init__(self, ascii_only: bool) -> None:
        super().__init__(driver_class=PatientDriver)
        self.ascii_only = ascii_only
        self.terminal: PatientDriver | None = None
        self._sanitizer = OutputFilter(ascii_only)
        self._palette_styles: dict[tuple[str, int], PaletteStyles] = {}
        # each screen would get two more widgets to mount, style and lay out; nothing here uses them
        self._disable_tooltips = self._disable_notifications = True

    def get_line_filters(self) -> Sequence[LineFilter]:
        if self.theme == "console-mono":
            return [_COLOURLESS, self._sanitizer]
        if self.current_theme.ansi:  # dimmed against an unknown background, text could become black on black
            return [self._sanitizer]
        return [*super().get_line_filters(), self._sanitizer]

    def write(self, sequence: str) -> None:
        """Write a sequence to the terminal itself: a title, a bell."""
        if self.terminal is not None:
            self.terminal.write(in_ascii(sequence) if self.ascii_only else sequence)

    @property
    def draws(self) -> bool:
        """Whether `draw` reaches a terminal now, under the conditions under which Textual writes to one."""
        return self.terminal is not None and self._running and not self._closed and not self._batch_count

    @property
    def stalled(self) -> bool:
        """Whether the line has not taken the last frame yet."""
        return self.terminal is not None and self.terminal.stalled

    def draw(self, canvas: Canvas) -> None:
        """Show a canvas of the terminal's size, and nothing else."""
        if self.terminal is not None and self.draws:
            x, y = self.size.clamp_offset(self.cursor_position)
            rows = [*zip(canvas.chars, canvas.styles, strict=True)]
            self.terminal.draw(rows, self._styles_now(), (x, y), self._sync_available)

    def _styles_now(self) -> PaletteStyles:
        palette, theme = self.palette, self.theme
        styles = self._palette_styles.get((theme, id(palette)))  # palettes are made once and stay
        if styles is None:
            styles = self._palette_styles[theme, id(palette)] = PaletteStyles(self._style_of, self._sanitizer.clean)
        return styles

    def _style_of(self, name: str) -> Style:
        """A named style after Textual's filters and in this terminal's colours."""
        strip = Strip([Segment("x", self.palette.get(name, self.palette["text"]))], 1)
        background = self.screen.background_colors[1]
        for line_filter in self.get_line_filters():
            strip = strip.apply_filter(line_filter, background)
        return style_of(strip.render(self.console))

    @on(Redraw)
    def action_redraw(self) -> None:
        """Repaint everything: the line dropped output, or another program wrote over the screen."""
        if self.terminal is not None:
            self.terminal.forget()
        for shown in self.screen_stack:
            shown.refresh(layout=True)
            for sheet in shown.query(Sheet):
                sheet.refresh()
