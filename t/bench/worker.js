/*
 * The handler of a webhook for workerd.
 */

import mapping from 'mapping.js';

const AMPLITUDE = 'https://api2.amplitude.com/2/httpapi';


function answer(status, text) {
    return new Response(text, {
        status: status,
        headers: { 'Content-Type': 'application/json' }
    });
}


/* the answer is read to its end, or its connection is not used again */

async function send(body) {
    const reply = await fetch(AMPLITUDE, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: body
    });

    await reply.text();

    return reply.status;
}


async function handle(request) {
    const key = mapping.authorize(request.headers.get('Authorization'));

    if (key === null) {
        return answer(401, '{"error":"unauthorized"}\n');
    }

    let webhook;

    try {
        webhook = mapping.convert(key, await request.text());

    } catch (e) {
        return answer(400, '{"error":"invalid_json"}\n');
    }

    const answers = await Promise.all(webhook.batches.map(send));

    if (answers.some(status => status !== 200)) {
        return answer(503, '{"error":"unavailable"}\n');
    }

    return answer(200, JSON.stringify(webhook.summary) + '\n');
}


export default { fetch: handle };
