val x = "ENC[AES256_GCM,data:rHwtmNRF9YiWknc77NY=,iv:y5FWomSPOuQ30ptqT+rjnb27cVgZzVPFjZfnywzwFV4=,tag:DwssY3wJ5Ne5d49M8WnWzA==,type:str]"
