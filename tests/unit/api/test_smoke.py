async def test_open(house, open_competition):
    text = await house.page(open_competition)
    print(text)
    assert "Rain in Kord" in text
