"""The functions that first_net.toml names."""


def send_numbers(ctx, packets):
    """Send four numbers."""
    for number in range(4):
        ctx.send("out", number)


def send_square(ctx, packets):
    """Send the square of a number."""
    ctx.send("out", ctx.consume_packet(packets["in"][0]) ** 2)
