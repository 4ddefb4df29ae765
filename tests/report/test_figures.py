"""The face of the figures: one style, files that appear whole, nobody's settings touched."""

import inspect
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib import style
from matplotlib.figure import Figure

from edgedyn.report import figures
from edgedyn.report.figures import style as looks


def draw(path, **size):
    with figures.saved_figure(path, **size) as (figure, axes):
        figures.curves(axes[0], {"a": [0.1, 0.4], "b": [0.2, 0.3]}, "accuracy")
    return figure


def test_every_public_name_is_there_and_shows_an_example():
    for name in figures.__all__:
        member = getattr(figures, name)
        if inspect.isfunction(member):
            assert ">>>" in member.__doc__, name
            if name != "short":
                assert "Parameters" in member.__doc__, name
                assert "Raises" in member.__doc__, name


def test_importing_figures_loads_no_matplotlib_and_saving_one_no_pyplot(tmp_path):
    code = (
        "import sys; from edgedyn.report import figures\n"
        "print('matplotlib' in sys.modules)\n"
        f"with figures.saved_figure({str(tmp_path / 'a.png')!r}) as (_, axes):\n"
        "    figures.curves(axes[0], {'a': [0.1]}, 'accuracy')\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]


def test_the_style_is_matplotlibs_and_cycles_our_colours():
    with style.context(figures.STYLE):
        cycle = matplotlib.rcParams["axes.prop_cycle"]
        assert tuple(entry["color"] for entry in cycle) == figures.COLOURS
        lines = [entry["linestyle"] for entry in cycle]
        assert matplotlib.rcParams["pdf.fonttype"] == 42
        assert matplotlib.rcParams["svg.fonttype"] == "none"
        assert Figure().get_layout_engine() is not None
    assert all(a != b for a, b in zip(lines, lines[1:], strict=False))


def test_the_colours_are_okabe_and_itos():
    # The eight of their palette in order, from their page "Color Universal Design" (2002).
    published = [
        (0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115),
        (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
    ]  # fmt: skip
    ours = {tuple(int(c[k : k + 2], 16) for k in (1, 3, 5)) for c in figures.COLOURS}
    assert ours == set(published) - {(240, 228, 66)}
    assert len(ours) == len(figures.COLOURS)


def test_series_differ_in_grey_too():
    found = [looks.marked(k) for k in range(20)]
    assert len({(f["linestyle"], f["marker"]) for f in found}) == 20
    assert len({tuple(looks.look(k).values()) for k in range(28)}) == 28
    for one, other in zip(found, found[1:], strict=False):
        assert one["linestyle"] != other["linestyle"]


def settings():
    return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}


def test_saving_leaves_the_users_settings_alone(tmp_path):
    with matplotlib.rc_context({"lines.linewidth": 7.5, "font.size": 23, "svg.fonttype": "path"}):
        before = settings()
        draw(tmp_path / "a.svg")
        assert settings() == before
        with pytest.raises(RuntimeError), figures.saved_figure(tmp_path / "b.png"):
            raise RuntimeError
        assert settings() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.svg"]


@pytest.mark.parametrize(
    "suffix, start", [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_the_suffix_decides_and_equal_figures_give_equal_files(tmp_path, suffix, start):
    for name in ("a", "b"):
        draw(tmp_path / f"{name}.{suffix}")
    first, second = (tmp_path / f"{name}.{suffix}" for name in ("a", "b"))
    assert first.read_bytes().startswith(start)
    assert first.read_bytes() == second.read_bytes()


def test_vector_files_hold_text(tmp_path):
    draw(tmp_path / "a.svg")
    assert ">accuracy</text>" in (tmp_path / "a.svg").read_text()
    draw(tmp_path / "a.pdf")
    content = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in content and b"/Type3" not in content  # TrueType, as journals ask


def test_sizes(tmp_path):
    figure = draw(tmp_path / "a.png", columns=3, rows=2)
    assert len(figure.axes) == 6
    np.testing.assert_allclose(figure.get_size_inches(), [15, 8])
    np.testing.assert_allclose(
        draw(tmp_path / "b.png", width=3, height=2.5).get_size_inches(), [3, 2.5]
    )


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.html"])
def test_another_suffix_is_refused_before_any_work(tmp_path, name):
    with pytest.raises(ValueError, match=r"must end in \.png, \.svg or \.pdf; got 'a"):
        draw(tmp_path / name)
    with pytest.raises(ValueError, match=r"must end in \.png"):
        figures.save(Figure(), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "size", [{"columns": 0}, {"rows": -1}, {"width": 0.0}, {"height": float("inf")}]
)
def test_impossible_sizes_are_refused(tmp_path, size):
    with pytest.raises(ValueError, match=next(iter(size))):
        draw(tmp_path / "a.png", **size)


def test_logarithmic_axes_of_less_than_two_decades_have_plain_labels():
    for top, labels in ((1.9, None), (15.0, ["1", "2", "5", "10"])):
        ax = Figure().subplots()
        ax.plot([1, 2], [0.8, top])
        ax.set_yscale("log")
        looks.few_ticks(ax.yaxis)
        low, high = ax.get_ylim()
        found = [
            text.get_text()
            for at, text in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)
            if low <= at <= high
        ]
        assert len(found) >= 2 and not any("10^" in text for text in found)
        assert labels is None or found == labels


def words(k):
    return f"a candidate with a long name, {k}"


PICTURES = {
    "curves": lambda axes: figures.curves(
        axes[0], {words(k): [0.1 * k, 0.3] for k in range(12)}, r"neural capacitance", 1
    ),
    "theorem1": lambda axes: figures.theorem1_runs(
        axes[0],
        {words(k): [(0.1, 0.2, 9.0), (0.01 * 2**k, 0.05, 2.0)] for k in range(3)},
        floors=[words(2)],
    ),
    "times": lambda axes: figures.time_per_epoch(
        axes[0], [words(k) for k in range(9)], np.arange(1.0, 10), np.full(9, 0.5)
    ),
    "rho": lambda axes: figures.rho_against_training_size(
        axes[0], {words(0): ([100, 400, 1600, 6400, 50_000], [0.1, 0.3, 0.5, 0.2, 0.4])}
    ),
    "layers": lambda axes: figures.layer_links(
        axes[0],
        [words(k) for k in range(16)],
        [10**k for k in range(16)],
        [(k, k + 1, 10**k) for k in range(1, 16)],
    ),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("size", [(5, 4), pytest.param((12, 8), marks=pytest.mark.slow)])
def test_nothing_leaves_the_picture(tmp_path, name, size):
    with figures.saved_figure(tmp_path / "a.png", width=size[0], height=size[1]) as (figure, axes):
        PICTURES[name](axes)
        figure.canvas.draw()
        (left, bottom), (right, top) = figure.get_tightbbox().get_points()  # in inches
    assert left > -0.01 and bottom > -0.01 and right < size[0] + 0.01 and top < size[1] + 0.01
    (ax,) = axes
    assert ax.get_window_extent().width > 0.25 * figure.bbox.width  # names leave room
