"""Tables as lines: whole fields, whatever the screen's width."""

import random

from mogabench.columns import Column, fits, lay_out

NETWORKS = [
    Column("backbone", ["resnet18", "moganet_tiny"]),
    Column("FLOPs (G)", ["1.8", "1.10"], right=True),
    Column("what it is", ["a network of residual blocks, well known", "short"], prose=True),
]


def test_a_pipe_gets_each_row_on_a_line():
    assert lay_out(NETWORKS, None) == [
        "backbone      FLOPs (G)  what it is",
        "─" * 65,
        "resnet18            1.8  a network of residual blocks, well known",
        "moganet_tiny       1.10  short",
    ]


def test_prose_and_heads_are_broken_at_spaces():
    assert lay_out(NETWORKS, 44) == [
        "              FLOPs",
        "backbone        (G)  what it is",
        "─" * 44,
        "resnet18        1.8  a network of residual",
        "                     blocks, well known",
        "moganet_tiny   1.10  short",
    ]


def test_what_does_not_fit_is_stacked():
    assert not fits(NETWORKS, 30)
    assert lay_out(NETWORKS, 30) == [
        "resnet18",
        "  FLOPs (G)   1.8",
        "  what it is",
        "    a network of residual",
        "    blocks, well known",
        "",
        "moganet_tiny",
        "  FLOPs (G)   1.10",
        "  what it is  short",
    ]


def test_colours_take_no_room():
    plain = Column("x", ["1", "22"], right=True)
    coloured = Column("x", ["1", "22"], right=True, styles=[lambda text: f"<{text}>"] * 2)
    assert [line.replace("<", "").replace(">", "") for line in lay_out([coloured], 80)] == lay_out(
        [plain], 80
    )


def test_no_field_is_cut_and_no_line_too_long():
    chosen = random.Random(0)
    for _ in range(300):
        rows = chosen.randint(1, 4)
        columns = [
            Column(
                " ".join("h" * chosen.randint(1, 9) for _ in range(chosen.randint(1, 3))),
                [
                    " ".join("w" * chosen.randint(1, 9) for _ in range(chosen.randint(1, 5)))
                    for _ in range(rows)
                ],
                right=chosen.random() < 0.5,
                prose=chosen.random() < 0.3,
            )
            for _ in range(chosen.randint(1, 9))
        ]
        width = chosen.randint(50, 120)
        lines = lay_out(columns, width)
        assert max(map(len, lines)) <= width
        for column in columns:
            for field in column.fields:
                words = field.split() if column.prose else [field]
                assert all(any(word in line for line in lines) for word in words)
