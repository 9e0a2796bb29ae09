from ganbench.bindings import BOARD_BYTES, LEAST_TEXT_BYTES, ROW_BYTES, TEXT_BYTES, text_room


def test_boards_of_many_rows_leave_less_room_for_details():
    assert text_room(15) == TEXT_BYTES
    assert text_room(1_000) == BOARD_BYTES - 1_000 * ROW_BYTES
    assert text_room(10_000) == LEAST_TEXT_BYTES
