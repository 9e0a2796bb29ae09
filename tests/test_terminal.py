import io

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from ganbench.terminal import guarded

STEERING = "a\x1b[2J\x9b2J\rb\u202ec"


def console(**settings):
    return guarded(Console(file=io.StringIO(), width=60, **settings))


def test_what_could_steer_a_terminal_is_shown_as_marks_wherever_it_stands():
    table = Table(STEERING, title=STEERING)
    table.add_row(STEERING)
    for printed in (Text(STEERING), STEERING, table):
        made = console()
        made.print(printed)
        said = made.file.getvalue()
        assert not [letter for letter in said if letter in "\x1b\x9b\r\u202e"]
        assert "a�[2J" in said


def test_colours_and_bars_are_richs_own_and_stay():
    made = console(force_terminal=True, color_system="standard")
    made.print(Text("red", style="red"))
    assert "\x1b[31mred\x1b[0m" in made.file.getvalue()
    with Progress(console=made) as progress:
        progress.add_task("going on", total=1)
        made.print("beside the bar")
    assert "going on" in made.file.getvalue()
    assert "\x1b[?25h" in made.file.getvalue()
