"""One thread for what must come out the same everywhere."""

from contextlib import contextmanager


@contextmanager
def one_thread():
    """Torch and BLAS compute on one thread inside: sums come in one order and workers do not crowd each other.

    Also a decorator.
    """
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)
