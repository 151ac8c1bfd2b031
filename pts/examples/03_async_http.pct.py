# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Many requests at once
#
# Twenty pages are fetched from a server, eight at a time, and their titles counted. The node that fetches is an `async def`:
# its epochs run side by side. The server is here, in a thread, and takes a while for each page. This
# example runs in Jupyter and as a script.

# %%
import asyncio
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from netrun import Net, node


class Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.05)
        body = f"<title>{'even' if int(self.path[1:]) % 2 == 0 else 'odd'}</title>".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
Thread(target=server.serve_forever, daemon=True).start()

# %% [markdown]
# Any async client will do; this one is a few lines of asyncio.


# %%
@node(max_parallel_epochs=8, timeout=10)
async def fetch(number: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.server_port)
    writer.write(f"GET /{number} HTTP/1.0\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    return answer


@node
def title(answer: str) -> str:
    return answer.partition("<title>")[2].partition("</title>")[0]


net = Net(fetch >> title)
begun = time.perf_counter()
titles = net.run(number=range(20))["title.out"]
print(Counter(titles), f"{time.perf_counter() - begun:.2f} s, of which the server waited {20 * 0.05:.2f} s")
assert Counter(titles) == {"even": 10, "odd": 10}

# %% [markdown]
# `run` is a plain call, here in a notebook too, where a loop is running. In async code the same net runs on the loop that is
# there. (A script says `asyncio.run(three_more())`, a notebook `await three_more()`; a thread of its own does for both.)


# %%
async def three_more() -> list[str]:
    net.inject_packets("fetch", "number", [1, 2, 3])
    await net.async_start()
    return net.take_outputs("title", "out")


with ThreadPoolExecutor(1) as thread:
    more = thread.submit(lambda: asyncio.run(three_more())).result()
assert sorted(more) == ["even", "odd", "odd"]
server.shutdown()
server.server_close()

# %% [markdown]
# How many fetches ran at the same time is in the timeline:

# %%
rows = [row for row in net.timeline() if row.node == "fetch"]
at_once = max(sum(other.begun <= row.begun < other.ended for other in rows) for row in rows)
assert at_once == 8
