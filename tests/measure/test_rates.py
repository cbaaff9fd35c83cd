"""The rates of a machine whose products take a known CPU time."""

import time

import pytest
import torch

from mogabench.measure import rates
from mogabench.measure.rates import choose_side, measure_rates, products


def busy_for(seconds):
    def call():
        began = time.process_time()
        while time.process_time() - began < seconds:
            pass

    return call


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_matrix_rate_is_that_of_the_fastest_way_and_waiting_is_not_counted(monkeypatch, one_thread):
    def slow_and_waiting(device, dtype, side):
        return busy_for(0.05), lambda: (time.sleep(0.05), busy_for(0.02)())

    monkeypatch.setattr(rates, "products", slow_and_waiting)
    found = measure_rates("cpu", "float32", 1536)
    assert found.matrix == pytest.approx(2 * 1536**3 / 0.02, rel=0.1)


def test_matrices_grow_until_a_product_takes_ten_milliseconds(monkeypatch, one_thread):
    def cubic(device, dtype, side):
        return (busy_for(0.0015 * (side / 768) ** 3),)

    monkeypatch.setattr(rates, "products", cubic)
    assert choose_side("cpu", "float32") == 1536  # 1.5 ms, then 12 ms


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_each_way_gives_a_product_of_that_many_numbers(dtype):
    with torch.no_grad():
        found = [call() for call in products("cpu", dtype, 64)]
    # Sums of 64 products of standard normal numbers, and of such with weights of variance 1 / 192.
    assert {(out.numel(), out.dtype) for out in found} == {(64 * 64, getattr(torch, dtype))}
    deviations = [float(out.float().std()) for out in found]
    assert deviations == pytest.approx([8, (64 / 192) ** 0.5], rel=0.1)


def test_copies_count_what_is_read_and_written(monkeypatch, one_thread):
    monkeypatch.setattr(rates, "products", lambda *_: (busy_for(0.001),))
    monkeypatch.setattr(rates, "_time_on_cpu", lambda call: (call(), 0.5)[1])
    assert measure_rates("cpu", "float32", 768).copy == 2 * 2**28 / 0.5
