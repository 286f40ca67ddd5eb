//! `web`: the page on this machine, as a browser gets it. What a browser does by itself is played by curl's headers here;
//! tests/browser has the real one.

use std::{os::unix::fs::MetadataExt as _, process::Stdio, time::Duration};

use reqwest::{Client, Method, RequestBuilder, redirect};
use test_support::{
    canaries,
    shell::{Running, Shell, end_within},
    stage::Stage,
    world::{Answer, World},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    process::Command,
};

/// The command, running, and the link that it printed.
pub struct Page {
    pub running: Running,
    link: String,
    http: Client,
}

impl Page {
    pub async fn open(shell: &Shell<'_>, more: &[&str]) -> Self {
        let mut running = shell.start(&[["web", "--no-browser"].as_slice(), more].concat());
        let mut link = String::new();
        BufReader::new(running.stdout()).read_line(&mut link).await.unwrap();
        let http = Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
        Self { running, link: link.trim().to_owned(), http }
    }

    /// `http://127.0.0.1:port`, or another address of this machine.
    pub fn origin(&self) -> &str {
        &self.link[..self.link.rfind('/').unwrap()]
    }

    /// The address, and the port.
    fn place(&self) -> (&str, &str) {
        self.origin().strip_prefix("http://").unwrap().split_once(':').unwrap()
    }

    pub fn asks(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.origin()))
    }

    /// Opens the link, as a browser does: its cookie.
    pub async fn enter(&self, world: &World<'_>) -> String {
        let entered = world.fetch(self.http.get(&self.link)).await;
        assert_eq!(entered.status, 200, "{}", entered.text());
        assert!(entered.text().contains("url=/ui/"), "{}", entered.text());
        entered.header("set-cookie").split(';').next().unwrap().to_owned()
    }
}

fn refused(answer: &Answer, status: u16, words: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert!(answer.text().contains(words), "{}", answer.text());
    assert!(answer.header("content-security-policy").contains("default-src 'none'"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_web_page_opens_for_one_browser_and_for_no_other_page() {
    let world = World::new(Stage::shared().await, "web-gate").await;
    let shell = Shell::of(&world, "carol").await;
    let page = Page::open(&shell, &[]).await;
    assert!(page.link.starts_with("http://127."), "{}", page.link);

    let at_the_door = world.fetch(page.asks(Method::GET, "/ui/")).await;
    refused(&at_the_door, 403, "has not opened the link");
    let rebound = world.fetch(page.http.get(&page.link).header("host", "evil.example")).await;
    refused(&rebound, 421, "not the address");
    let ahead = world.fetch(page.http.get(&page.link).header("sec-purpose", "prefetch")).await;
    refused(&ahead, 400, "not fetched ahead");
    let cookie = page.enter(&world).await;
    refused(&world.fetch(page.http.get(&page.link)).await, 410, "works once");

    let inside = |method: Method, path: &str| page.asks(method, path).header("cookie", &cookie);
    let ours = world.fetch(inside(Method::GET, "/ui/")).await;
    assert!(![403, 410, 421, 502].contains(&ours.status), "{}", ours.text());
    let rebound = world.fetch(inside(Method::GET, "/ui/").header("host", "evil.example")).await;
    refused(&rebound, 421, "not the address");
    for (name, value) in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("accept", "text/html")]
    {
        let forged = world.fetch(inside(Method::POST, "/api/v1/downloads").header(name, value)).await;
        refused(&forged, 403, "Another page");
    }
    let programs = world.fetch(inside(Method::GET, "/api/v1/projects")).await;
    refused(&programs, 404, "no such page");
    // The browser that is in is led on by the link, and others are not.
    let again = world.fetch(page.http.get(&page.link).header("cookie", &cookie)).await;
    assert_eq!((again.status, again.header("location")), (303, "/ui/"));
    let home = world.fetch(inside(Method::GET, "/")).await;
    assert_eq!((home.status, home.header("location")), (303, "/ui/"));
    let said = page.running.interrupted().await;
    said.ok();
    assert!(said.stderr.contains("the page is closed"), "{}", said.stderr);
    assert!(!said.said().contains(world.person("carol").await.token.as_str()));
}

/// A program of another user of this machine, who is no one's neighbour but has a shell.
fn as_another_user(program: &str, arguments: &[&str]) -> Command {
    let another = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program];
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let words = ["sudo", "-n"].into_iter().filter(|_| !is_root).chain(another).chain(arguments.iter().copied());
    let words: Vec<&str> = words.collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir("/").kill_on_drop(true).stdout(Stdio::piped());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_of_the_machine_comes_in_by_no_kind_of_socket() {
    let world = World::empty(Stage::shared().await, "web-neighbour").await;
    let shell = Shell::of(&world, "carol").await;
    let page = Page::open(&shell, &[]).await;
    let (host, port) = page.place();
    assert_ne!(host, "127.0.0.1", "where other programs of this machine have pages, which would get the cookie");
    // An address of IPv4, and the same through a socket of IPv6.
    let addresses = [page.origin().to_owned(), format!("http://[::ffff:{host}]:{port}")];
    let asks = async |path: &str, cookie: &str| {
        let mut statuses = Vec::new();
        for address in &addresses {
            let (url, named) = (format!("{address}{path}"), format!("Host: {host}:{port}"));
            let cookie = format!("Cookie: {cookie}");
            let flags = ["-sSg", "--noproxy", "*", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}"];
            let curl = [flags.as_slice(), &["-H", &named, "-H", &cookie, &url]].concat();
            let said = as_another_user("curl", &curl).output().await.unwrap();
            statuses.push(String::from_utf8(said.stdout).unwrap());
        }
        statuses
    };
    let link = &page.link[page.origin().len()..];
    assert_eq!(asks(link, "").await, ["403", "403"], "the link");
    let cookie = page.enter(&world).await;
    assert_eq!(asks("/ui/", &cookie).await, ["403", "403"], "the cookie");
    page.running.interrupted().await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_of_the_machine_cannot_close_the_page_with_idle_connections() {
    let world = World::empty(Stage::shared().await, "web-idle-crowd").await;
    let shell = Shell::of(&world, "carol").await;
    let page = Page::open(&shell, &[]).await;
    let (host, port) = page.place();
    let crowd =
        format!("for n in $(seq 10 210); do eval \"exec $n<>/dev/tcp/{host}/{port}\"; done; echo all; exec sleep 600");
    let mut neighbour = as_another_user("bash", &["-c", &crowd]).spawn().unwrap();
    let mut said = BufReader::new(neighbour.stdout.take().unwrap()).lines();
    assert_eq!(said.next_line().await.unwrap().as_deref(), Some("all"));
    let answer = page.http.get(&page.link).timeout(Duration::from_secs(15)).send().await;
    assert_eq!(answer.expect("the page answers its own user").status(), 200);
    neighbour.kill().await.unwrap();
    page.running.interrupted().await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_passes_through_the_web_page_byte_by_byte_and_as_the_person_who_opened_it() {
    let world = World::new(Stage::shared().await, "web-file").await;
    // The server takes this token from carol alone.
    world.policy("bound", serde_json::json!({"token": {"bindToRequester": true}})).await;
    let token = world.issue("carol", "chain", serde_json::json!({"format": "fullchain"})).await;
    canaries::token(&token);
    let shell = Shell::of(&world, "carol").await;
    let page = Page::open(&shell, &[]).await;
    let cookie = page.enter(&world).await;
    let large = "x".repeat(8000);
    let post = || {
        let post = page.asks(Method::POST, "/api/v1/downloads").header("cookie", &cookie).header("x-large", &large);
        post.header("origin", page.origin()).header("authorization", "Bearer canary").body(token.clone())
    };
    let file = world.fetch(post()).await;
    assert_eq!(file.status, 200, "{}", file.text());
    assert_eq!(file.text(), world.leaf.chain());
    for header in ["content-digest", "content-disposition", "content-length"] {
        assert!(!file.header(header).is_empty(), "no {header}");
    }
    for header in ["strict-transport-security", "set-cookie"] {
        assert_eq!(file.header(header), "", "{header} is for the server's own address");
    }
    let again = world.fetch(post()).await;
    assert_eq!((again.status, again.json("error")), (410, "token_used".to_owned()));
    let receipt = world.receipt_of(&world.get("chain").await).await.unwrap();
    assert_eq!(receipt.spec.consumed_by.unwrap().username, "carol");
    page.running.interrupted().await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_web_page_ends_by_itself_when_no_one_looks_at_it() {
    let world = World::empty(Stage::shared().await, "web-idle").await;
    let carol = Shell::of(&world, "carol").await;
    let command = carol.command(&["web", "--no-browser", "--idle-timeout", "1s"]);
    let ended = end_within(Duration::from_secs(30), command).await;
    assert!(ended.ok().starts_with("http://127."));
    assert!(ended.stderr.contains("no page was asked for in 1 s"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_web_page_opens_in_the_browser_of_the_machine() {
    let world = World::empty(Stage::shared().await, "web-browser").await;
    let carol = Shell::of(&world, "carol").await;
    carol.own_program("xdg-open", "#!/bin/sh\nprintf %s \"$1\" >opened.new && mv opened.new opened\n");
    let mut running = carol.start(&["web"]);
    running.until_it_says("Ctrl-C closes the page").await;
    world.until("the browser has the link", || async { carol.path("opened").exists() }).await;
    let said = running.interrupted().await;
    assert_eq!(said.ok().trim(), carol.read("opened"));
}

/// A server that holds back the second event until the first one has arrived: real ones cannot be made to.
#[tokio::test(flavor = "multi_thread")]
async fn events_pass_through_the_web_page_as_they_come_and_nothing_of_the_browser_goes_with_them() {
    let world = World::empty(Stage::shared().await, "web-events").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let carol = Shell::of(&world, "carol").await.set("CERTCOURIER_SERVER", &address);
    let (arrived, first_is_there) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let mut connection = BufReader::new(listener.accept().await.unwrap().0);
        let mut asked = String::new();
        while !asked.ends_with("\r\n\r\n") {
            assert!(connection.read_line(&mut asked).await.unwrap() > 0, "{asked}");
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nset-cookie: a=b\r\nconnection: close\r\n\r\n";
        connection.write_all(format!("{head}data: one\n\n").as_bytes()).await.unwrap();
        first_is_there.await.unwrap();
        connection.write_all(b"data: two\n\n").await.unwrap();
        asked.to_ascii_lowercase()
    });
    let page = Page::open(&carol, &[]).await;
    let cookie = page.enter(&world).await;
    let asked = page.asks(Method::GET, "/ui/events").header("accept", "text/event-stream").header("cookie", &cookie);
    let mut answer = asked.header("referer", "http://127.0.0.1/canary").send().await.unwrap();
    assert!(answer.headers().get("set-cookie").is_none());
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "data: one\n\n");
    arrived.send(()).unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "data: two\n\n");
    assert!(answer.chunk().await.unwrap().is_none());
    let seen = server.await.unwrap();
    let token = world.person("carol").await.token.as_str().to_ascii_lowercase();
    assert!(seen.contains(&format!("authorization: bearer {token}\r\n")), "another bearer token, or none");
    assert!(seen.contains(&format!("host: {}\r\n", &address["http://".len()..])), "another host");
    for foreign in ["cookie:", "referer:", "canary"] {
        assert!(!seen.contains(foreign), "{foreign}");
    }
    page.running.interrupted().await.ok();
}
